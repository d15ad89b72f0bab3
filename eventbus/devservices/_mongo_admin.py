"""What is said to mongod itself: make a replica set of it, make a root user, say who is primary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from eventbus.devservices._errors import ServerFailed
from eventbus.devservices._server import wait_until

_Client = MongoClient[dict[str, Any]]
_DEFAULT_PORT = 27017
_SAID = 300  # characters of a driver's message that still help
_ANSWER_TIMEOUT_MS = 2000
_SELECTION_TIMEOUT_MS = 10_000
_USABLE_TIMEOUT_SECS = 60.0
_HEARTBEAT_MS = 200  # with the default of 2 s a set of three takes seconds to become whole


def server_version(uri: str) -> str:
    """Return the version of the server at an address.

    Raises:
        ServerFailed: it does not answer within ten seconds.
    """
    try:
        with _Client(uri, serverSelectionTimeoutMS=_SELECTION_TIMEOUT_MS) as client:
            return str(client.admin.command("buildInfo")["version"])
    except PyMongoError as error:
        raise ServerFailed(f"MongoDB does not answer: {str(error)[:_SAID]}") from error


class MongoAdmin:
    """Talks to each member of one MongoDB by itself, past server discovery."""

    def __init__(
        self, ports: Sequence[int], *, replica_set: str | None, auth: tuple[str, str] | None
    ) -> None:
        """Note whom to talk to; nothing is sent yet.

        Args:
            ports: the members' ports on 127.0.0.1.
            replica_set: the set's name, or None for a standalone.
            auth: the root user's name and password, if access needs them.
        """
        self.ports = tuple(ports)
        self._replica_set = replica_set
        self._auth = auth

    @classmethod
    def outside(cls, uri: str) -> Self:
        """Return one for a server that somebody else runs; all it can tell is the ports."""
        return cls(
            [port or _DEFAULT_PORT for _, port in parse_uri(uri)["nodelist"]], replica_set=None, auth=None
        )

    def uri(self) -> str:
        """Return the address for any ordinary client."""
        user = "".join(f"{quote_plus(part)}{end}" for part, end in zip(self._auth or (), ":@", strict=False))
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        how = f"replicaSet={self._replica_set}" if self._replica_set else "directConnection=true"
        return f"mongodb://{user}{hosts}/?{how}{'&authSource=admin' if user else ''}"

    def set_up(self, election_timeout_ms: int) -> None:
        """Make fresh members a replica set and make the root user, as far as either is wanted."""
        if self._replica_set:
            members = [{"_id": i, "host": f"127.0.0.1:{port}"} for i, port in enumerate(self.ports)]
            settings = {
                "electionTimeoutMillis": election_timeout_ms,
                "heartbeatIntervalMillis": _HEARTBEAT_MS,
            }
            config = {"_id": self._replica_set, "members": members, "settings": settings}
            with self._member(0) as client:
                client.admin.command("replSetInitiate", config)
        self.wait_until_usable()
        if self._auth:
            name, password = self._auth
            with self._member(self.primary()) as client:  # by the localhost exception
                client.admin.command("createUser", name, pwd=password, roles=["root"])

    def primary(self) -> int:
        """Return the index of the member that takes writes now.

        Raises:
            LookupError: there is none now.
        """
        for i in range(len(self.ports)):
            if self._hello(i).get("isWritablePrimary"):
                return i
        raise LookupError("no member is primary now")

    def wait_until_usable(self, members: Sequence[int] | None = None) -> None:
        """Wait until a primary takes writes and the other members follow it.

        Args:
            members: the indices of those that are expected to be there; all by default.

        Raises:
            ServerFailed: that took longer than a minute.
        """
        expected = range(len(self.ports)) if members is None else members

        def usable() -> bool:
            hellos = [self._hello(i) for i in expected]
            primaries = sum(bool(hello.get("isWritablePrimary")) for hello in hellos)
            secondaries = sum(bool(hello.get("secondary")) for hello in hellos)
            if self._replica_set is None:
                return primaries == 1
            return primaries == 1 and primaries + secondaries == len(hellos)

        wait_until(
            usable,
            timeout_secs=_USABLE_TIMEOUT_SECS,
            failure=lambda: (
                f"MongoDB on ports {self.ports} had no primary within {_USABLE_TIMEOUT_SECS:.0f} s."
            ),
        )

    def _hello(self, index: int) -> dict[str, Any]:
        try:
            with self._member(index) as client:
                return dict(client.admin.command("hello"))
        except PyMongoError:
            return {}

    @contextmanager
    def _member(self, index: int) -> Iterator[_Client]:
        with _Client(
            "127.0.0.1",
            self.ports[index],
            directConnection=True,
            serverSelectionTimeoutMS=_ANSWER_TIMEOUT_MS,
            socketTimeoutMS=_ANSWER_TIMEOUT_MS,
            appname="eventbus-devservices",
        ) as client:
            yield client
