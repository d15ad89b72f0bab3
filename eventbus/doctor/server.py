"""Checks of the server that is read: is it there, what can it do, does it tell the time as we do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, well
from eventbus.sources.mongodb.client import asked
from eventbus.sources.mongodb.cursor import splits_large
from eventbus.sources.mongodb.errors import Reaction, failure_of

__all__ = ["Clock", "Greeting", "clock", "greeted", "pool", "silence", "topology", "version"]

Clock = Callable[[], float]
"""Tells the seconds since 1970."""

_OLDEST_VERSION: Final = (6, 0)
_TOLERATED_SECS: Final = 2.0
_ROUTER: Final = "isdbgrid"


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself.

    Args:
        hello: Its answer to ``hello``.
        version: Its version, as numbers.
        skew_secs: How far our clock is ahead of its clock, at least; negative if it is behind.
    """

    hello: Mapping[str, Any]
    version: tuple[int, ...]
    skew_secs: float


async def greeted(client: AsyncMongoClient[Any], now: Clock) -> Greeting:
    """Ask the server who it is.

    Args:
        client: The client to ask with.
        now: Our clock.

    Raises:
        PyMongoError: It does not answer.
    """
    await asked(client, "hello")  # the first one connects, and takes longer
    sent = now()
    hello = await asked(client, "hello")
    received = now()
    info = await asked(client, "buildInfo")
    return Greeting(hello, tuple(info["versionArray"][:3]), _skew(hello["localTime"], sent, received))


def topology(greeting: Greeting) -> Finding:
    """Whether it has change streams."""
    hello = greeting.hello
    if hello.get("msg") == _ROUTER:
        return well("topology", "a sharded cluster, by a mongos")
    if "setName" in hello:
        return well("topology", f"replica set {hello['setName']}, read from {hello['me']}")
    return found("topology.standalone", "a standalone server")


def version(greeting: Greeting) -> Finding:
    """Whether it can do what is used."""
    written = ".".join(map(str, greeting.version))
    if greeting.version < _OLDEST_VERSION:
        return found("version.too_old", f"MongoDB {written}")
    if not splits_large(greeting.version):
        return found("version.no_split", f"MongoDB {written} has no $changeStreamSplitLargeEvent")
    return well("version", f"MongoDB {written}: images of documents, splitting of large changes")


def clock(greeting: Greeting) -> Finding:
    """Whether it tells the time as we do."""
    skew = greeting.skew_secs
    if abs(skew) > _TOLERATED_SECS:
        return found(
            "clock.skew",
            f"our clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's",
        )
    return well("clock", f"less than {_TOLERATED_SECS:g} s apart from the server's")


async def pool(client: AsyncMongoClient[Any], most: int) -> Finding:
    """Whether the server has room for us.

    Args:
        client: The client to ask with.
        most: How many connections the daemon may open.
    """
    ours = f"the daemon opens up to {most} connections"
    try:
        connections = (await asked(client, "serverStatus"))["connections"]
    except PyMongoError:
        return well("pool", f"{ours}; how many are left may not be asked")
    left = int(connections["available"])
    if left < most:
        return found("pool.few_connections", f"{ours}, and the server has {left} left")
    return well("pool", f"{ours}; the server has {left} left")


def silence(client: AsyncMongoClient[Any], error: PyMongoError) -> Finding:
    """Why the server does not answer."""
    failure = failure_of(error)
    description = client.topology_description
    if isinstance(error, ServerSelectionTimeoutError) and not description.server_descriptions():
        # The driver forgets every server that answers and is no member of the set that the URI names.
        return found(
            "topology.no_member",
            f"no server there is a member of the replica set {description.replica_set_name}",
        )
    if failure.reaction is Reaction.FATAL_CONFIGURATION:
        return found("topology.refused", failure.reason)
    return found("topology.unreachable", failure.reason)


def _skew(server: datetime, sent: float, received: float) -> float:
    """The least by which our clock is off, whenever between the two moments the server looked at its own."""
    theirs = server.replace(tzinfo=UTC).timestamp()
    if sent <= theirs <= received:
        return 0.0
    return sent - theirs if theirs < sent else received - theirs
