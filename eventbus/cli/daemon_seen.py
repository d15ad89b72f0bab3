"""What a running daemon says of itself under ``/readyz``, as far as one answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp
import orjson

from eventbus.administration.seen import SubscriptionSeen, subscriptions_seen
from eventbus.config.models import ServerSection

__all__ = ["address_of", "seen_at"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what it is bound to


def address_of(server: ServerSection) -> str | None:
    """Where a daemon of this configuration answers; None if it takes any free port."""
    if server.port == 0:
        return None
    host = _EVERY_ADDRESS.get(server.host, server.host)
    return f"http://{host}:{server.port}"


async def seen_at(address: str) -> Mapping[str, SubscriptionSeen] | None:
    """Ask a daemon for its subscriptions; None if none answers there.

    Args:
        address: As ``http://host:port``.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(f"{address.rstrip('/')}/readyz") as response,
        ):
            said = orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return subscriptions_seen(said)
