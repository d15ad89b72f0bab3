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
