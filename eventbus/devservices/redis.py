"""A real redis-server."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Final, Self
from urllib.parse import urlsplit

from eventbus.devservices._fetch_redis import fetch_redis
from eventbus.devservices._finding import Address, Finders, Image, Ours, Program, find, find_ours
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import finders, launch
from eventbus.devservices._ports import on_a_free_port
from eventbus.devservices._server import Server
from eventbus.devservices._service import Service

VARIABLE: Final = "REDIS_URL"
_REMEDY = "install Redis 7 so that redis-server is on PATH, or set REDIS_URL"
_READY = "Ready to accept connections"


class RedisService(Service):
    """A running Redis with an append-only file, so that what it acknowledged survives `kill`."""

    def __init__(self, url: str, servers: Sequence[Server]) -> None:
        """Take over what `start` has found or started."""
        super().__init__(servers, variable=VARIABLE)
        self.url = url
        self.port = urlsplit(url).port or 6379

    @classmethod
    def start(cls, *, extra_args: Sequence[str] = (), own: bool = False) -> Self:
        """Find or fetch redis-server and run it.

        Args:
            extra_args: further arguments of redis-server; they make it our own, whatever REDIS_URL says.
            own: never use the one that REDIS_URL names: for a test that kills it.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start.
        """
        look = find_ours if own or extra_args else find
        found = look(redis_finders(), server="redis-server", remedy=_REMEDY)
        if isinstance(found, Address):
            return cls(found.url, ())
        port, server = on_a_free_port(lambda port: (port, _start(found, port, extra_args)))
        return cls(f"redis://127.0.0.1:{port}/0", (server,))


class RedisSentinelService(Service):
    """A Sentinel that watches one master and soon puts a replica in the place of one that is gone."""

    def __init__(self, port: int, servers: Sequence[Server]) -> None:
        """Take over what `start` has started."""
        super().__init__(servers, variable=VARIABLE)
        self.port = port

    @classmethod
    def start(cls, master: str, master_port: int, *, password: str) -> RedisSentinelService:
        """Find or fetch redis-server and run it as a Sentinel.

        Args:
            master: what the Sentinel calls the master.
            master_port: where it is, on this machine.
            password: what the Sentinel's clients must say.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start.
        """
        found = find_ours(redis_finders(), server="redis-server", remedy=_REMEDY)

        def watch(port: int) -> RedisSentinelService:
            directory = KeptDirectory("redis-sentinel")
            file = directory.data / "sentinel.conf"
            lines = (line.format(port=port, master=master, master_port=master_port) for line in _WATCHING)
            file.write_text("\n".join([*lines, f"requirepass {password}", f"dir {directory.data}", ""]))
            return cls(port, (launch(directory, found, [str(file), "--sentinel"], ready=_MONITORING),))

        return on_a_free_port(watch)


_MONITORING = "+monitor master"
_WATCHING = (
    "bind 127.0.0.1",
    "port {port}",
    "sentinel monitor {master} 127.0.0.1 {master_port} 1",
    "sentinel down-after-milliseconds {master} 300",
    "sentinel failover-timeout {master} 2000",
)


def redis_finders() -> Finders:
    """Return the places to look for redis-server."""
    return finders(
        variable=VARIABLE,
        image=Image("redis:7.2", ("redis-server",)),
        path=_on_path,
        fetch=fetch_redis,
    )


def _on_path() -> Program | None:
    program = shutil.which("redis-server")
    return Program((program,)) if program else None


def _start(found: Ours, port: int, extra_args: Sequence[str]) -> Server:
    directory = KeptDirectory("redis")
    arguments = [
        *("--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory.data)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *extra_args,
    ]
    return launch(directory, found, arguments, ready=_READY)
