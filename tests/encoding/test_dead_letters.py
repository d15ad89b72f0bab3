"""What copies of dead letters say beside their events."""

from __future__ import annotations

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.encoding.dead_letters import copy_attributes, copy_headers
from eventbus.model import DeadLetter, Event, Failure

EVENT = Event(
    token="82",
    operation="update",
    database="shop",
    collection="orders",
    document_key={"_id": "a"},
    document={"_id": "a", "large": 2**63 - 1, "name": "Zoë"},
)


def _letter(reason: str = "HTTP 422: no", kind: Failure = Failure.REJECTED) -> DeadLetter:
    return DeadLetter("order-events", "hook", EVENT, reason, attempts=3, kind=kind)


def test_the_envelope_has_the_failure_beside_an_event_that_is_the_same() -> None:
    attributes = copy_attributes(_letter(), "0f1e")
    plain = orjson.loads(CloudEventsEncoder("order-events").encode(EVENT))
    body = CloudEventsEncoder("order-events", extensions=attributes).encode(EVENT)
    assert JSONFormat().read(None, body).get_extension("failurekind") == "rejected"
    assert orjson.loads(body) == plain | {
        "deadletterid": "0f1e",
        "deadletterroute": "hook",
        "failurekind": "rejected",
        "failurereason": "HTTP 422: no",
        "attempts": 3,
    }


def test_it_says_why_documents_are_left_out() -> None:
    assert copy_attributes(_letter(), "0f1e", omitted="too\nlarge")["dataomitted"] == "too large"
    assert "dataomitted" not in copy_attributes(_letter(), "0f1e")


def test_headers_have_the_names_of_kafka_connect_and_our_own() -> None:
    assert dict(copy_headers(_letter(), "0f1e", sink="receiver")) == {
        "__connect.errors.topic": b"shop.orders",
        "__connect.errors.connector.name": b"order-events/hook",
        "__connect.errors.task.id": b"0",
        "__connect.errors.stage": b"TASK_PUT",
        "__connect.errors.class.name": b"receiver",
        "__connect.errors.exception.class.name": b"rejected",
        "__connect.errors.exception.message": b"HTTP 422: no",
        "eventbus-dead-letter-id": b"0f1e",
        "eventbus-dead-letter-route": b"hook",
        "eventbus-dead-letter-attempts": b"3",
    }


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (Failure.ENCODING, b"VALUE_CONVERTER"),
        (Failure.STAGE, b"TRANSFORMATION"),
        (Failure.TIMEOUT, b"TASK_PUT"),
    ],
)
def test_the_stage_is_where_the_event_failed(kind: Failure, stage: bytes) -> None:
    assert dict(copy_headers(_letter(kind=kind), "", sink=""))["__connect.errors.stage"] == stage


@pytest.mark.parametrize("reason", ["a\r\nInjected: b", "a\0b", "\ud800 lone", "\x7f\x85"])
def test_no_reason_breaks_out_of_its_header_or_its_attribute(reason: str) -> None:
    """Whatever a receiver has answered."""
    header = dict(copy_headers(_letter(reason), "", sink=""))["__connect.errors.exception.message"]
    attribute = copy_attributes(_letter(reason), "", omitted=reason)["failurereason"]
    assert header.decode() == attribute
    assert str(attribute).isprintable()


def test_a_long_reason_leaves_room_for_other_headers() -> None:
    header = dict(copy_headers(_letter("ö" * 2000), "", sink=""))["__connect.errors.exception.message"]
    assert header.decode() == "ö" * 1000
