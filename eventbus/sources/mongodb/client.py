"""The client that reads: which member it asks, how many connections it has, what it tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pymongo import AsyncMongoClient

from eventbus.sources.mongodb.cancellations import look_seldom
from eventbus.sources.mongodb.member import Member
from eventbus.telemetry.mongodb import ConnectionEvents

__all__ = ["asked", "stream_client"]

_TIMEOUT_MS: Final = 3000
"""To find a member, and to connect to it: readers try again by themselves, and say so."""


def stream_client(
    uri: str, settings: Mapping[str, Any], *, purpose: str, pool_size: int, read_preference: str | None = None
) -> AsyncMongoClient[Any]:
    """A client; no I/O yet.

    Args:
        uri: Address of the deployment.
        settings: Further arguments of the driver's client.
        purpose: What it is for: the name that operators of the server see, and the label of its metrics.
        pool_size: The most connections to one member.
        read_preference: Which members are read, in the driver's words; None for what the URI says.

    Raises:
        ConfigurationError: Of the driver; the URI or the settings are wrong.
        ValueError: The same.
        OSError: A file that they name cannot be read.
    """
    look_seldom()
    preference: dict[str, Any] = {} if read_preference is None else {"readPreference": read_preference}
    return AsyncMongoClient(
        uri,
        **settings,
        **preference,
        appname="eventbus" if purpose == "stream" else f"eventbus-{purpose}",
        maxPoolSize=pool_size,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        server_selector=Member(),
        event_listeners=[ConnectionEvents(purpose)],
    )


async def asked(client: AsyncMongoClient[Any], command: str) -> Mapping[str, Any]:
    """The answer of the member that is read to a command without arguments.

    Raises:
        PyMongoError: It did not answer.
    """
    answer: dict[str, Any] = await client.admin.command(command, read_preference=client.read_preference)
    return answer
