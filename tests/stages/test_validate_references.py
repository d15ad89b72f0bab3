"""The stage `validate`: documents that must be there, and what must hold between them and an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId

from eventbus.errors import Unreachable
from eventbus.model import ClusterTime, Event
from eventbus.stages.memory import MemoryCollections
from eventbus.stages.validate.comparing import Incomparable, Op, compare
from tests.stages.events import become, change, pipeline, run, told
from tests.stages.rules import FAILED, REFERENCE, rule, utc

CUSTOMERS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "customers": [
        {"_id": 1, "credit": {"limit": Decimal128("100.10")}},
        {"_id": 2, "credit": {"limit": "100"}},
        {"_id": 3},
    ]
}


@pytest.mark.parametrize(
    ("customer", "total", "says"),
    [
        (1, Decimal128("100.1"), ""),
        (1.0, 100, ""),
        (1, Decimal128("100.11"), "document.total lte customers.credit.limit does not hold"),
        (1, None, "document.total lte customers.credit.limit: the first is missing"),
        (2, 100, "document.total lte customers.credit.limit: cannot compare: a number and text"),
        (3, 100, "document.total lte customers.credit.limit: the second is missing"),
        (9, 100, "nothing is found in customers"),
        (None, 100, "the event has no key in customers"),
        ([1, 9], 100, "nothing is found in customers"),
        ([1], 100, ""),
    ],
)
def test_a_reference_is_there_and_compares(customer: Any, total: Any, says: str) -> None:
    """What is missing or of another type does not keep the rule."""
    event = change(document={"_id": 1, "customer": customer, "total": total})
    found = become(event, rule(reference=REFERENCE), collections=MemoryCollections(CUSTOMERS))
    assert (found.removeprefix(FAILED) if isinstance(found, str) else "") == says


class Asked(MemoryCollections):
    """Collections that note what they were asked, and are away at first."""

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]], *, away: int = 0) -> None:
        super().__init__(documents)
        self.queries: list[tuple[str, str, list[Any], list[str]]] = []
        self._away = away

    async def find(
        self,
        database: str,
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,
    ) -> Sequence[Mapping[str, Any]] | None:
        """Note it, and answer."""
        self.queries.append((f"{database}.{collection}", field, list(values), list(fields)))
        if self._away:
            self._away -= 1
            raise Unreachable("nobody answers")
        return await super().find(database, collection, field, values, fields=fields, at=at)


def test_a_batch_takes_one_query_for_a_collection_however_many_rules_look_into_it() -> None:
    """Each key is asked for once; only what is compared is brought."""
    asked = Asked(CUSTOMERS)
    rules = [
        {"name": "credit", "reference": REFERENCE},
        {"name": "known", "severity": "warning", "reference": {**REFERENCE, "compare": []}},
    ]
    events = [
        change(token=f"82{place}", document={"_id": place, "customer": customer, "total": 1})
        for place, customer in enumerate([1, 9, 1.0])
    ]
    made = pipeline({"validate": rules}, collections=asked)
    first, second, third = map(told, run(made, events))
    assert isinstance(first, dict)
    assert second == "parked: stage validate (1): rule credit: nothing is found in customers"
    assert isinstance(third, dict)
    assert asked.queries == [("shop.customers", "_id", [1.0, 9], ["_id", "credit.limit"])]


def test_no_query_is_made_for_what_refers_to_nothing() -> None:
    """A batch of deletes costs nothing."""
    asked = Asked(CUSTOMERS)
    run(pipeline(rule(reference=REFERENCE), collections=asked), [change(operation="delete")])
    assert asked.queries == []


def test_a_collection_that_is_away_is_waited_for() -> None:
    """And no event is parked for it."""
    asked = Asked(CUSTOMERS, away=2)
    made = pipeline(rule(reference=REFERENCE), collections=asked)
    (found,) = run(made, [change(document={"_id": 1, "customer": 1, "total": 1})])
    assert isinstance(found, Event)
    assert len(asked.queries) == 3


@pytest.mark.parametrize(
    ("ours", "op", "theirs", "holds"),
    [
        (1, "eq", Decimal128("1.000"), True),
        (Int64(2**53 + 1), "gt", float(2**53), True),
        (0.1, "gt", Decimal128("0.1"), True),
        (0.1, "ne", Decimal128("0.1"), True),
        (float("inf"), "gt", Decimal128("9E6144"), True),
        ("b", "gte", "a", True),
        ("B", "lt", "a", True),
        (utc("2024-01-01T00:00"), "eq", utc("2024-01-01T00:00").replace(tzinfo=None), True),
        (ObjectId("0" * 24), "lt", ObjectId("f" * 24), True),
        ({"a": 1}, "eq", {"a": 1.0}, True),
        ([1, 2], "ne", [2, 1], True),
        (True, "eq", True, True),
        (True, "eq", 1, None),
        ("1", "ne", 1, None),
        ([1], "lt", [2], None),
        (float("nan"), "eq", float("nan"), None),
        (Decimal128("sNaN"), "lt", 1, None),
        (10**400, "gt", float("inf"), False),
    ],
)
def test_values_compare_as_in_mongodb(ours: Any, op: Op, theirs: Any, holds: bool | None) -> None:
    """Within a type; numbers are one type, and exact. None: there is no comparison."""
    if holds is None:
        with pytest.raises(Incomparable):
            compare(ours, op, theirs)
    else:
        assert compare(ours, op, theirs) is holds
