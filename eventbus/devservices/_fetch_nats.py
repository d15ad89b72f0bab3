"""Fetches nats-server from Debian."""

from __future__ import annotations

from eventbus.devservices._fetch_debian import DebianProgram
from eventbus.devservices._finding import Program

_NATS = DebianProgram(
    name="nats",
    packages=("nats-server",),
    program="usr/sbin/nats-server",
    size="about 4 MB",
)


def fetch_nats() -> Program:
    """Return nats-server out of the cache, fetching it first if need be.

    Raises:
        FetchFailed: there is no apt-get or dpkg here, or they failed.
    """
    return _NATS.fetch()
