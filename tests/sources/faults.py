"""Faults that a real server is made to have, and what it holds open for us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tests.sources.watching import APP_NAME, HANG_SECS, Client, Document

NOT_INJECTABLE = {
    346: "the server tells more with it than a fail point can make up",
    13388: "the server tells more with it than a fail point can make up",
}
"""Errors that no fail point gives: a server with one that is told to fails with 40671 instead."""


@asynccontextmanager
async def failing(client: Client, *commands: str, times: int = 1, **how: Any) -> AsyncIterator[None]:
    """Have the server fail commands of our clients: with ``errorCode``, or by ``closeConnection``."""
    data = {"failCommands": list(commands), "appName": APP_NAME, **how}
    await client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data})
    try:
        yield
    finally:
        await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def failing_get_more(client: Client, code: int) -> None:
    """Have the server fail the next ``getMore`` from the inside, as it does when it means it, with labels."""
    point = "failGetMoreAfterCursorCheckout"
    data = {"errorCode": code, "closeConnection": False}
    await client.admin.command({"configureFailPoint": point, "mode": {"times": 1}, "data": data})


async def open_cursors(client: Client, subscription: str = "test") -> list[Document]:
    """The subscription's cursors that the server holds, waiting ones included."""
    pipeline: list[Document] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"cursor.originatingCommand.comment": f"eventbus {subscription}"}},
    ]
    return [entry["cursor"] async for entry in await client.admin.aggregate(pipeline)]


async def no_cursors(client: Client) -> None:
    """Wait until the server holds no cursor of ours; a killed one that waits is gone when its wait ends."""
    with anyio.fail_after(HANG_SECS):
        while await open_cursors(client):
            await anyio.lowlevel.checkpoint()
