"""Redis: streams, channels, lists, cache entries that never go back in time, and invalidation of keys."""

from eventbus.sinks.redis.options import RedisOptions
from eventbus.sinks.redis.sink import RedisSink

__all__ = ["RedisOptions", "RedisSink"]
