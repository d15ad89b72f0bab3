"""Events are understood from their published form, and what is not of that form is refused with a reason."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bson import ObjectId

from eventbus.demo.envelope import BadEnvelope, headline, parsed, receipt_of
from eventbus.demo.ledger import Change, canonical_id
from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.model import Event
from tests.demo.envelopes import body, life


@pytest.mark.parametrize("change", life("A-1"), ids=lambda change: change.operation)
def test_a_receipt_names_the_change(change: Change) -> None:
    content = body("e1", change)

    receipt = receipt_of(parsed(content), content)

    assert receipt.event_id == "e1"
    assert receipt.change == change


def test_an_updates_rev_is_that_of_the_change_and_not_of_a_later_lookup() -> None:
    change = life("A-1")[1]
    content = body("e1", change, document={"_id": "A-1", "rev": 99})

    assert receipt_of(parsed(content), content).change == change


def test_an_object_id_is_the_one_that_was_written() -> None:
    identity = ObjectId()
    change = Change("shop", "orders", canonical_id(identity), "delete", life("x")[3].rev)
    content = body("e1", change)

    assert receipt_of(parsed(content), content).change.document_id == canonical_id(identity)


def test_other_bytes_have_another_digest() -> None:
    change = life("A-1")[0]
    bodies = [body("e1", change), body("e1", change, before={})]

    digests = {receipt_of(parsed(content), content).digest for content in bodies}

    assert len(digests) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"specversion": "1.0", "id": "", "type": "t", "source": "s", "data": {}}', "without id, data"),
        (b'{"specversion": "0.3", "id": "1", "type": "t", "source": "s", "data": {"a": 1}}', "specversion"),
    ],
)
def test_what_is_no_cloud_event_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadEnvelope, match=reason):
        parsed(content)


@pytest.mark.parametrize(
    "damage", [{"document_key": None}, {"changed": None}, {"changed": {"status": "x"}}, {"operation": []}]
)
def test_an_event_that_names_no_change_is_refused(damage: dict[str, Any]) -> None:
    content = body("e1", life("A-1")[1], **damage)

    with pytest.raises(BadEnvelope):
        receipt_of(parsed(content), content)


def test_a_headline_is_short_and_tells_what_changed() -> None:
    changed = {
        "rev": 3,
        "updated_at": {"$date": "2026-01-01T00:00:00Z"},
        "status": "shipped",
        "price": {"$numberDecimal": "1.50"},
    }
    content = body("e1", life("A-1")[1], changed=changed, removed=["shipping.estimate"])

    told = headline(parsed(content))

    assert told == "update orders A-1: status shipped, price 1.50, shipping.estimate removed"


def test_a_headline_of_a_delete_has_no_details() -> None:
    assert headline(parsed(body("e1", life("A-1")[3]))) == "delete orders A-1"


def test_the_daemons_own_encoding_is_understood() -> None:
    event = Event(
        token="82",
        operation="update",
        database="shop",
        collection="orders",
        document_key={"_id": ObjectId("65f0c0ffee65f0c0ffee65f0")},
        changed={"rev": 7},
    )
    content = CloudEventsEncoder("shop").encode(event)

    receipt = receipt_of(parsed(content), content)

    identity = canonical_id(ObjectId("65f0c0ffee65f0c0ffee65f0"))
    assert receipt.event_id == event.id
    assert receipt.change == Change("shop", "orders", identity, "update", 7)
    assert orjson.loads(content)["id"] == event.id
