"""NATS JetStream as a sink of eventbus: each event is a message that its stream has acknowledged."""

from eventbus_nats.options import NatsOptions
from eventbus_nats.sink import NatsSink

__all__ = ["NatsOptions", "NatsSink"]
