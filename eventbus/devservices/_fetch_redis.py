"""Fetches redis-server from Debian."""

from __future__ import annotations

from eventbus.devservices._fetch_debian import DebianProgram
from eventbus.devservices._finding import Program

_REDIS = DebianProgram(
    name="redis",
    packages=("redis-server", "redis-tools"),  # Debian keeps the program itself in the second
    program="usr/bin/redis-server",
    size="about 2 MB",
)


def fetch_redis() -> Program:
    """Return redis-server out of the cache, fetching it first if need be.

    Raises:
        FetchFailed: there is no apt-get or dpkg here, or they failed.
    """
    return _REDIS.fetch()
