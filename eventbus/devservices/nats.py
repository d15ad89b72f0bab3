"""A real nats-server with JetStream."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Final, Self
from urllib.parse import urlsplit

from eventbus.devservices._fetch_nats import fetch_nats
from eventbus.devservices._finding import Address, Finders, Image, Ours, Program, find, find_ours
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import finders, launch
from eventbus.devservices._ports import on_a_free_port
from eventbus.devservices._server import Server
from eventbus.devservices._service import Service

VARIABLE: Final = "NATS_URL"
_REMEDY = "install NATS 2.9 or newer so that nats-server is on PATH, or set NATS_URL"
_READY = "Server is ready"


class NatsService(Service):
    """A running NATS whose JetStream keeps its streams in files, so that they survive `kill`."""

    def __init__(self, url: str, servers: Sequence[Server]) -> None:
        """Take over what `start` has found or started."""
        super().__init__(servers, variable=VARIABLE)
        self.url = url
        self.port = urlsplit(url).port or 4222

    @classmethod
    def start(cls, *, extra_args: Sequence[str] = (), own: bool = False) -> Self:
        """Find or fetch nats-server and run it.

        Args:
            extra_args: further arguments of nats-server; they make it our own, whatever NATS_URL says.
            own: never use the one that NATS_URL names: for a test that kills it.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start.
        """
        look = find_ours if own or extra_args else find
        found = look(nats_finders(), server="nats-server", remedy=_REMEDY)
        if isinstance(found, Address):
            return cls(found.url, ())
        port, server = on_a_free_port(lambda port: (port, _start(found, port, extra_args)))
        return cls(f"nats://127.0.0.1:{port}", (server,))


def nats_finders() -> Finders:
    """Return the places to look for nats-server."""
    return finders(
        variable=VARIABLE,
        image=Image("nats:2.10", ("nats-server",)),
        path=_on_path,
        fetch=fetch_nats,
    )


def _on_path() -> Program | None:
    program = shutil.which("nats-server")
    return Program((program,)) if program else None


def _start(found: Ours, port: int, extra_args: Sequence[str]) -> Server:
    directory = KeptDirectory("nats")
    arguments = [
        *("--addr", "127.0.0.1", "--port", str(port)),
        *("--jetstream", "--store_dir", str(directory.data)),
        *extra_args,
    ]
    return launch(directory, found, arguments, ready=_READY)
