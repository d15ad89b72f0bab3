"""A real OpenSearch: one node, which tests of a search index write to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from eventbus.devservices._fetch_opensearch import OPENSEARCH_VERSION, fetch_opensearch
from eventbus.devservices._finding import Address, Finders, Image, Ours, find, find_ours
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import finders, launch
from eventbus.devservices._ports import free_port, on_a_free_port
from eventbus.devservices._server import Server
from eventbus.devservices._service import Service

VARIABLE: Final = "OPENSEARCH_URL"
_REMEDY = "install a Java 17 development kit and Maven, or set OPENSEARCH_URL to a server's address"
_NODE = "eventbus"
_READY = f"[{_NODE}] started"
_IN_A_CONTAINER = (
    *("env", "OPENSEARCH_JAVA_OPTS=-Xms128m -Xmx256m", "/usr/share/opensearch/bin/opensearch"),
    "-Eplugins.security.disabled=true",
)


class OpenSearchService(Service):
    """A running OpenSearch without users or certificates; what it acknowledged survives `kill`."""

    def __init__(self, url: str, servers: Sequence[Server]) -> None:
        """Take over what `start` has found or started."""
        super().__init__(servers, variable=VARIABLE)
        self.url = url

    @classmethod
    def start(cls, *, own: bool = False) -> Self:
        """Find or fetch OpenSearch and run it.

        Args:
            own: never use the one that OPENSEARCH_URL names: for a test that kills it.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start.
        """
        look = find_ours if own else find
        found = look(opensearch_finders(), server="OpenSearch", remedy=_REMEDY)
        if isinstance(found, Address):
            return cls(found.url, ())
        port, server = on_a_free_port(lambda port: (port, _start(found, port)))
        return cls(f"http://127.0.0.1:{port}", (server,))


def opensearch_finders() -> Finders:
    """Return the places to look for OpenSearch: not on PATH, for its script refuses to run as root."""
    return finders(
        variable=VARIABLE,
        image=Image(f"opensearchproject/opensearch:{OPENSEARCH_VERSION}", _IN_A_CONTAINER),
        path=lambda: None,
        fetch=fetch_opensearch,
    )


def _start(found: Ours, port: int) -> Server:
    directory = KeptDirectory("opensearch")
    settings = {
        "node.name": _NODE,
        "cluster.name": _NODE,
        "path.data": str(directory.data),
        "network.host": "127.0.0.1",
        "http.port": str(port),
        "transport.port": str(free_port()),
        "discovery.type": "single-node",
        "cluster.routing.allocation.disk.threshold_enabled": "false",  # a full disk would close all indices
    }
    arguments = [f"-E{name}={value}" for name, value in settings.items()]
    return launch(directory, found, arguments, ready=_READY)
