"""What everything rests on, as our reader returns it; `test_token_order` asks the server itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

from eventbus.model import Event
from tests.sources.watching import Document, Watch

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.mark.parametrize(
    "options", [{}, {"full_document": "update_lookup"}, {"match": {"operationType": {"$ne": "x"}}}], ids=str
)
async def test_tokens_sort_as_changes_came(either_watch: Watch, options: Document) -> None:
    """A transaction over two collections, one update of many, a second full of writes, drops and renames.

    `Reading.batch` asserts the order of every batch that a test reads; here it is made hard to keep.
    """
    watch = either_watch
    reading = await watch.reader(**options)
    orders, stock = watch.database.orders, watch.database.stock
    await orders.insert_many([{"_id": i} for i in range(100)])
    await stock.insert_many([{"_id": value} for value in (2.5, "text", {"a": 1}, b"\0", -1)])
    async with watch.client.start_session() as session, await session.start_transaction():
        for i in range(20):
            await orders.update_one({"_id": 99 - i}, {"$set": {"a": i}}, session=session)
            await stock.insert_one({"_id": 1000 - i}, session=session)
    await orders.update_many({}, {"$inc": {"b": 1}})
    await stock.rename("old")
    await watch.database.old.drop()
    await orders.delete_many({})
    await watch.client.drop_database(watch.name)
    events: list[Event] = await reading.events(100 + 5 + 40 + 100 + 2 + 100 + 3)
    assert all(a.token < b.token for a, b in pairwise(events))
    assert len({event.id for event in events}) == len(events)
    times = [event.cluster_time for event in events]
    assert all(a is not None and b is not None and a <= b for a, b in pairwise(times))
    assert len(set(times)) < len(events), "nothing shared its cluster time"
    assert len({time.seconds for time in times if time}) < 20


async def test_idle_positions_sort_among_events(either_watch: Watch) -> None:
    """The position of an idle poll lies at or behind what was read and before what comes."""
    watch = either_watch
    reading = await watch.reader(collections=["orders"])
    for i in range(10):
        await watch.database.other.insert_one({})
        await watch.database.orders.insert_one({"_id": i})
        (event,) = await reading.events(1)
        assert event.token <= reading.position.token
