"""Kafka: acknowledged by all replicas, idempotent, in order by key."""

from eventbus.sinks.kafka.options import KafkaOptions
from eventbus.sinks.kafka.sink import KafkaSink

__all__ = ["KafkaOptions", "KafkaSink"]
