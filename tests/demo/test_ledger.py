"""The judge notices whatever can go wrong: each test doctors a clean list of receipts in one way."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from bson import Decimal128, Int64, ObjectId

from eventbus.demo.ledger import LAST_REV, Change, Ledger, Receipt, canonical_id

DOCUMENTS = ("a", "b", "c")
LIFE = (("insert", 1), ("update", 2), ("update", 3), ("replace", 4), ("delete", LAST_REV))


@pytest.fixture
def changes() -> list[Change]:
    return [
        Change("shop", "orders", document, operation, rev)
        for operation, rev in LIFE
        for document in DOCUMENTS
    ]


@pytest.fixture
def ledger(changes: list[Change]) -> Ledger:
    ledger = Ledger()
    ledger.begin(changes)
    ledger.commit(changes)
    return ledger


@pytest.fixture
def receipts(changes: list[Change]) -> list[Receipt]:
    return [Receipt(f"event-{number}", change, b"body") for number, change in enumerate(changes)]


def test_all_once_and_in_order_is_clean(ledger: Ledger, receipts: list[Receipt]) -> None:
    verdict = ledger.check(receipts)

    assert verdict.is_clean
    assert verdict.complaints() == []


def test_only_the_order_within_a_document_counts(ledger: Ledger, receipts: list[Receipt]) -> None:
    by_document = sorted(receipts, key=lambda receipt: receipt.change.document_id, reverse=True)

    assert ledger.check(by_document).is_clean


@pytest.mark.parametrize("index", range(len(DOCUMENTS) * len(LIFE)))
def test_a_lost_event_is_named_whatever_it_is(ledger: Ledger, receipts: list[Receipt], index: int) -> None:
    gone = receipts.pop(index)

    verdict = ledger.check(receipts)

    assert list(verdict.lost) == [gone.change]
    assert not verdict.is_wrong
    assert not verdict.is_clean


def test_everything_is_lost_where_nothing_came(ledger: Ledger, changes: list[Change]) -> None:
    assert list(ledger.check([]).lost) == changes


@pytest.mark.parametrize("index", range(len(DOCUMENTS) * len(LIFE)))
def test_a_second_delivery_is_a_duplicate_and_no_disorder(
    ledger: Ledger, receipts: list[Receipt], index: int
) -> None:
    verdict = ledger.check([*receipts, receipts[index]])

    assert list(verdict.duplicated) == [receipts[index]]
    assert not verdict.lost
    assert not verdict.is_wrong
    assert not verdict.is_clean


def test_a_duplicate_does_not_hide_a_loss(ledger: Ledger, receipts: list[Receipt]) -> None:
    verdict = ledger.check([*receipts[:-1], receipts[0]])

    assert len(verdict.lost) == len(verdict.duplicated) == 1


def test_two_changes_of_a_document_in_the_wrong_order_are_noticed(
    ledger: Ledger, receipts: list[Receipt]
) -> None:
    receipts[0], receipts[3] = receipts[3], receipts[0]  # update before insert

    verdict = ledger.check(receipts)

    assert [receipt.change.operation for receipt in verdict.misordered] == ["insert"]
    assert verdict.is_wrong
    assert not verdict.lost


def test_a_delete_before_the_last_update_is_noticed(ledger: Ledger, receipts: list[Receipt]) -> None:
    receipts.insert(9, receipts.pop(12))  # the delete of the first document, before its replace

    assert [receipt.change.operation for receipt in ledger.check(receipts).misordered] == ["replace"]


def test_a_gap_is_a_loss_and_no_disorder(ledger: Ledger, receipts: list[Receipt]) -> None:
    del receipts[3]

    assert not ledger.check(receipts).misordered


def test_a_change_nobody_made_is_noticed(ledger: Ledger, receipts: list[Receipt]) -> None:
    foreign = Receipt("other", Change("shop", "orders", "d", "insert", 1))

    verdict = ledger.check([*receipts, foreign])

    assert list(verdict.unexpected) == [foreign]
    assert verdict.is_wrong


def test_an_update_told_as_a_replace_is_a_loss_and_unexpected(
    ledger: Ledger, receipts: list[Receipt]
) -> None:
    receipts[3] = replace(receipts[3], change=receipts[3].change._replace(operation="replace"))

    verdict = ledger.check(receipts)

    assert len(verdict.lost) == len(verdict.unexpected) == 1


def test_one_id_for_two_changes_is_noticed(ledger: Ledger, receipts: list[Receipt]) -> None:
    receipts[5] = replace(receipts[5], event_id=receipts[4].event_id)

    verdict = ledger.check(receipts)

    assert list(verdict.misnamed) == [receipts[5]]
    assert list(verdict.duplicated) == [receipts[5]]


def test_a_second_delivery_under_another_id_is_noticed(ledger: Ledger, receipts: list[Receipt]) -> None:
    again = replace(receipts[2], event_id="another")

    verdict = ledger.check([*receipts, again])

    assert list(verdict.duplicated) == [again]
    assert list(verdict.misnamed) == [again]


def test_a_second_delivery_with_another_body_is_noticed(ledger: Ledger, receipts: list[Receipt]) -> None:
    again = replace(receipts[2], digest=b"other")

    verdict = ledger.check([*receipts, again])

    assert list(verdict.altered) == [again]
    assert verdict.is_wrong


def test_a_change_of_unknown_outcome_may_come_or_not(changes: list[Change], receipts: list[Receipt]) -> None:
    ledger = Ledger()
    ledger.begin(changes)
    ledger.commit(changes[:-1])

    assert ledger.check(receipts).is_clean
    assert ledger.check(receipts[:-1]).is_clean
    assert list(ledger.uncertain) == [changes[-1]]


def test_a_change_can_be_made_only_once(ledger: Ledger, changes: list[Change]) -> None:
    with pytest.raises(AssertionError, match="twice"):
        ledger.begin(changes[:1])


def test_random_doctoring_is_counted_exactly(ledger: Ledger, receipts: list[Receipt]) -> None:
    """Losses and duplicates at random places are told apart and counted, for many seeds."""
    for seed in range(200):
        rng = random.Random(seed)
        kept = [receipt for receipt in receipts if rng.random() < 0.8]
        again = rng.choices(kept, k=rng.randrange(4)) if kept else []

        verdict = ledger.check([*kept, *again])

        assert len(verdict.lost) == len(receipts) - len(kept)
        assert len(verdict.duplicated) == len(again)
        assert not verdict.is_wrong


def test_complaints_name_the_first_case(ledger: Ledger, receipts: list[Receipt]) -> None:
    assert ledger.check(receipts[1:]).complaints() == ["1 lost, first insert orders a rev 1"]


@pytest.mark.parametrize(
    ("value", "extended"),
    [
        ("pay_1", "pay_1"),
        (7, 7),
        (Int64(2**40), 2**40),
        (ObjectId("65f0c0ffee65f0c0ffee65f0"), {"$oid": "65f0c0ffee65f0c0ffee65f0"}),
        (Decimal128("1.50"), {"$numberDecimal": "1.50"}),
        (
            {"b": 1, "a": ObjectId("65f0c0ffee65f0c0ffee65f0")},
            {"a": {"$oid": "65f0c0ffee65f0c0ffee65f0"}, "b": 1},
        ),
    ],
)
def test_an_id_reads_the_same_in_bson_and_in_extended_json(value: object, extended: object) -> None:
    assert canonical_id(value) == canonical_id(extended)


def test_different_ids_stay_different() -> None:
    values: list[object] = ["1", 1, ObjectId("65f0c0ffee65f0c0ffee65f0"), "65f0c0ffee65f0c0ffee65f0", True]

    assert len({canonical_id(value) for value in values}) == len(values)
