"""``fields`` and ``match`` let exactly those changes through that the pages promise, on a real server.

Random documents are changed at random, and the history is read by many random filters. What each of them must
give is decided here, in two ways that know nothing of each other: by what the server told of each change, and
by the operators that made it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from pymongo import WriteConcern
from pymongo.errors import WriteError

from tests.sources.updates import (
    Change,
    Document,
    Scenario,
    matches,
    may_pass,
    must_pass,
    passes,
    random_fields,
    random_match,
)
from tests.sources.watching import Watch

pytestmark = [pytest.mark.anyio, pytest.mark.services]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
WRITES, FILTERS = (600, 60) if FULL else (300, 40)
DOCUMENTS = 12
SPLIT: list[Document] = [{"$changeStreamSplitLargeEvent": {}}]
"""With it, as readers have it, the server makes tokens of another form."""


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(25 if FULL else 2))
async def test_exactly_the_promised_changes_pass(watch: Watch, seed: int) -> None:
    """The server selects what the promise selects, and neither of its two readings is contradicted."""
    orders = watch.database.get_collection("orders", write_concern=WriteConcern(1))
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    start = await watch.source(collections=["orders"]).now()
    async with await orders.watch(SPLIT, full_document="required") as told:
        history = await written(orders, Scenario(seed))
        changes = [await told.next() for _ in history]
    end = (await watch.source().now()).token
    await watch.database.marker.insert_one({})  # so that readers come by the end
    see_variety(changes)

    draw, selected = random.Random(seed), 0
    for _ in range(FILTERS):
        fields, match = random_fields(draw), random_match(draw)
        reading = await watch.reader(
            start, collections=["orders"], fields=fields, match=match, full_document="required"
        )
        reading.reader.wait_at_most_ms = 20
        await reading.until(end)
        await reading.reader.close()
        given = {slot.event.token for slot in reading.slots}
        expected = {
            change["_id"]["_data"] for change in changes if passes(fields, change) and matches(match, change)
        }
        assert given == expected, f"fields {fields}, match {match}"
        see_operators(fields, history, changes)
        selected += len(given)
    assert 0 < selected < FILTERS * len(changes)
    print(f"seed {seed}: {FILTERS * len(changes)} decisions over {len(changes)} changes, {selected} passed")


async def written(orders: Any, scenario: Scenario) -> list[Change]:
    """Make changes, one after the other; those that changed something."""
    history: list[Change] = []
    while len(history) < WRITES:
        number = scenario.number(DOCUMENTS)
        before = await orders.find_one({"_id": number})
        if before is None or scenario.chance(0.08):
            change = await replaced(orders, number, before, scenario)
        else:
            change = await updated(orders, number, before, scenario)
        if change is not None:
            history.append(change)
    return history


async def replaced(orders: Any, number: int, before: Document | None, scenario: Scenario) -> Change | None:
    document = scenario.document(number)
    if before is None:
        await orders.insert_one(document)
        return Change(number, "insert", (), {}, document)
    if scenario.chance(0.4):
        await orders.delete_one({"_id": number})
        return Change(number, "delete", (), before, {})
    if not (await orders.replace_one({"_id": number}, document)).modified_count:
        return None
    return Change(number, "replace", (), before, document)


async def updated(orders: Any, number: int, before: Document, scenario: Scenario) -> Change | None:
    update, paths = scenario.update()
    try:
        result = await orders.update_one({"_id": number}, update)
    except WriteError:  # a path that leads through what is no document
        return None
    if not result.modified_count:
        return None
    return Change(number, "update", paths, before, await orders.find_one({"_id": number}))


def see_operators(fields: list[str] | None, history: Sequence[Change], changes: Sequence[Document]) -> None:
    """What the server told of each update goes with the operators that made it."""
    for made, change in zip(history, changes, strict=True):
        assert made.number == change["documentKey"]["_id"]
        if fields is None or change["operationType"] != "update":
            continue
        passed = passes(fields, change)
        assert passed or not must_pass(fields, made), f"{fields}: a change of value is left out"
        assert may_pass(fields, made) or not passed, f"{fields}: nothing of it was touched"


def see_variety(changes: Sequence[Document]) -> None:
    """Every form in which the server tells of an update is there, or the test shows less than it says."""
    operations = {change["operationType"] for change in changes}
    assert operations == {"insert", "update", "replace", "delete"}
    told = [change["updateDescription"] for change in changes if change["operationType"] == "update"]
    paths = {path for one in told for path in one["updatedFields"]}
    assert any(one["truncatedArrays"] for one in told)
    assert any(one["removedFields"] for one in told)
    assert paths >= {
        "payment",
        "payment.status",
        "items",
        "items.0.quantity",
        "totals.2024.paid",
        "home.town",
    }
