"""The shop decides alone, the same for the same seed, and never breaks its own rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.demo.ledger import canonical_id
from eventbus.demo.shop import COLLECTIONS, Shop, Step, Write


def steps_of(seed: int, count: int, number: int = 0, **options: Any) -> list[Step]:
    shop = Shop(seed, number, **options)
    return [shop.next_step() for _ in range(count)]


def writes_of(seed: int, count: int, number: int = 0) -> list[Write]:
    return [write for step in steps_of(seed, count, number) for write in step]


def identity(write: Write) -> tuple[str, str]:
    return write.collection, canonical_id(write.document_id)


def test_every_operation_happens_in_every_collection_that_has_it() -> None:
    happened = Counter((write.collection, write.operation) for write in writes_of(1, 3000))

    for collection in COLLECTIONS:
        assert happened[collection, "insert"]
        assert happened[collection, "update"]
        assert happened[collection, "delete"]
    assert happened["products", "replace"]
    assert happened["customers", "replace"]


def test_transactions_and_single_writes_both_happen() -> None:
    sizes = Counter(len(step) for step in steps_of(2, 1000))

    assert sizes[1] > 200
    assert sizes[2] > 50
    assert sizes[3] > 20


def test_an_order_goes_through_its_states() -> None:
    states: dict[str, list[str]] = defaultdict(list)
    for write in writes_of(3, 3000):
        if write.collection == "orders":
            fields = write.document or write.changed
            states[canonical_id(write.document_id)].append(fields.get("status", "gone"))
    histories = {tuple(states) for states in states.values() if states[-1] == "gone"}

    assert histories == {
        ("pending", "confirmed", "processing", "shipped", "delivered", "gone"),
        ("pending", "cancelled", "gone"),
    }


def test_prices_and_stock_change() -> None:
    changed = [write.changed for write in writes_of(4, 2000) if write.collection == "products"]

    assert any("price" in fields for fields in changed)
    assert any("inventory_count" in fields for fields in changed)


def test_stock_is_never_negative() -> None:
    for write in writes_of(5, 5000):
        assert (write.changed or write.document).get("inventory_count", 0) >= 0


def test_the_same_seed_gives_the_same_shop() -> None:
    def told(seed: int) -> list[tuple[Any, ...]]:
        return [(*identity(write), write.operation, write.rev) for write in writes_of(seed, 500)]

    assert told(6) == told(6)
    assert told(6) != told(7)


def test_shops_of_one_run_share_no_document() -> None:
    ids = [{identity(write) for write in writes_of(8, 1000, number)} for number in range(3)]

    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]
    assert not ids[1] & ids[2]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_hot_product_gets_its_share(share: float) -> None:
    steps = steps_of(9, 2000, hot_share=share)
    products = Counter(identity(step[0])[1] for step in steps if step[0].collection == "products")

    hottest = products.most_common(1)[0][1] / len(steps)

    assert share - 0.05 < hottest < share + 0.15


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_document_lives_once_and_its_revs_are_consecutive(seed: int) -> None:
    """What the ledger rests on: rev by rev from the insert on, nothing after a delete, no id again."""
    revs: dict[tuple[str, str], int] = {}
    dead: set[tuple[str, str]] = set()
    for write in writes_of(seed, 400):
        document = identity(write)
        assert document not in dead
        assert write.rev == revs.get(document, 0) + 1
        assert (write.operation == "insert") == (write.rev == 1)
        revs[document] = write.rev
        if write.operation == "delete":
            dead.add(document)
        else:
            assert (write.document or write.changed)["rev"] == write.rev
