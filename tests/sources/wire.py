"""A change stream as the server sends it, token by token: no code of ours between the server and the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import anyio
from bson.timestamp import Timestamp
from pymongo.asynchronous.client_session import AsyncClientSession

from tests.sources.watching import HANG_SECS, Client, Document

MAX_WAIT_MS = 50


@dataclass(frozen=True)
class Sent:
    """One resume token, in the place where the server sent it.

    Args:
        token: Its ``_data``.
        kind: The operation; ``fragment`` for a part of a split change but its last, ``batch`` for the token
            at the end of a reply, which need not stand for any change.
        time: The change's cluster time; None at the end of a reply and where a fragment does not carry it.
        key: The ``_id`` of the changed document, if it has one.
    """

    token: str
    kind: str
    time: Timestamp | None = None
    key: Any = None

    @property
    def is_change(self) -> bool:
        """Whether it stands for a change, or a fragment of one."""
        return self.kind != "batch"


class Wire:
    """A cursor on a change stream, and every token that came through it."""

    def __init__(self, client: Client, database: str, session: AsyncClientSession, opened: Document) -> None:
        self.sent: list[Sent] = []
        self._database = client[database]
        self._session = session
        self._keep(opened)

    @property
    def is_open(self) -> bool:
        """Whether the server still holds the cursor: an invalidate ends it."""
        return bool(self._id)

    async def read_to(self, key: Any) -> None:
        """Read until a document of this ``_id`` has changed, and then one reply without changes."""
        with anyio.fail_after(HANG_SECS):
            while all(sent.key != key for sent in self.sent):
                await self._more()
            await self.read_idle()

    async def read_past(self, token: str) -> None:
        """Read until the server has said that everything up to a token was sent."""
        with anyio.fail_after(HANG_SECS):
            while self.sent[-1].token < token:
                await self._more()

    async def read_idle(self) -> None:
        """Read until a reply has no changes."""
        with anyio.fail_after(HANG_SECS):
            while self.is_open and await self._more():
                pass

    async def _more(self) -> int:
        command = {"getMore": self._id, "collection": self._collection, "maxTimeMS": MAX_WAIT_MS}
        return self._keep(await self._database.command(command, session=self._session))

    def _keep(self, reply: Document) -> int:
        """Remember the tokens of a reply; how many changes it had."""
        cursor = reply["cursor"]
        self._id = cursor["id"]
        self._collection = cursor["ns"].partition(".")[2]
        changes = cursor.get("nextBatch", cursor.get("firstBatch", []))
        self.sent += map(_of_change, changes)
        if "postBatchResumeToken" in cursor:
            self.sent.append(Sent(cursor["postBatchResumeToken"]["_data"], "batch"))
        return len(changes)

    async def close(self) -> None:
        """Have the server give the cursor up."""
        if self.is_open:
            await self._database.command({"killCursors": self._collection, "cursors": [self._id]})


@asynccontextmanager
async def wire(
    client: Client, database: str, *stages: Document, collection: str | None = None, **options: Any
) -> AsyncIterator[Wire]:
    """Open a change stream of a database, or of one collection.

    Args:
        client: Whom to ask.
        database: What to watch.
        stages: What follows ``$changeStream``.
        collection: Watch this one only.
        options: Of ``$changeStream``, such as where to start.
    """
    command: Document = {
        "aggregate": collection or 1,
        "pipeline": [{"$changeStream": options}, *stages],
        "cursor": {"batchSize": 0},
    }
    async with client.start_session(causal_consistency=False) as session:
        opened = Wire(client, database, session, await client[database].command(command, session=session))
        try:
            yield opened
        finally:
            await opened.close()


def changes_of(sent: Sequence[Sent]) -> list[str]:
    """The tokens of changes and fragments, in the order in which they came."""
    return [one.token for one in sent if one.is_change]


def assert_sorted(sent: Sequence[Sent]) -> None:
    """Every change lies beyond all that was sent before it; the end of a reply never lies before it."""
    for before, after in pairwise(sent):
        in_order = before.token < after.token if after.is_change else before.token <= after.token
        assert in_order, f"{after} came after {before}"


def _of_change(change: Document) -> Sent:
    split = change.get("splitEvent")
    kind = "fragment" if split and split["fragment"] < split["of"] else change.get("operationType", "rest")
    key = change.get("documentKey", {}).get("_id")
    return Sent(change["_id"]["_data"], kind, change.get("clusterTime"), key)
