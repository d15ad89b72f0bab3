"""Recipes as somebody runs them: the page's configuration to the letter, real servers by environment."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pymongo import MongoClient

from eventbus.devservices import MongoService
from tests.docs.pages import ROOT, blocks
from tests.e2e.daemon import DaemonProcess
from tests.e2e.serving import serving

__all__ = ["FOLDER", "Client", "Requests", "cooked", "receiving"]

FOLDER = ROOT / "docs/recipes"

Client: TypeAlias = MongoClient[dict[str, Any]]


@contextmanager
def cooked(
    recipe: str, mongo: MongoService, directory: Path, environment: Mapping[str, str]
) -> Iterator[DaemonProcess]:
    """A daemon with the configuration of a recipe's page; only how it logs is added.

    Args:
        recipe: Name of the page.
        mongo: Where everything is that the recipe has in MongoDB.
        directory: Where its files go.
        environment: The variables that the page names, but for MongoDB's.
    """
    written = yaml.safe_load(blocks("yaml", FOLDER / f"{recipe}.md")[0].text)
    addresses = dict.fromkeys(("MONGODB_URI", "AUDIT_URI", "REPORTS_URI"), mongo.uri)
    daemon = DaemonProcess(
        directory, {**written, "log": {"format": "json"}}, {**addresses, **environment}, cwd=directory
    )
    with daemon.start():
        yield daemon
        assert daemon.terminate() == 0


class Requests(ThreadingHTTPServer):
    """A receiver that remembers what it was sent: by path, in order, with the headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: dict[str, list[Any]] = defaultdict(list)
        self.raw: dict[str, list[tuple[bytes, dict[str, str]]]] = defaultdict(list)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Requests)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.raw[self.path].append((body, dict(self.headers.items())))
        server.bodies[self.path].append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        return


@contextmanager
def receiving() -> Iterator[Requests]:
    """A receiver in a thread of its own."""
    with serving(Requests()) as server:
        yield server
