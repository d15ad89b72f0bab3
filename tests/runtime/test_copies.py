"""Copies of dead letters as messages for real sinks: whole if possible, else what is left of the event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import orjson
import pytest

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.encoding.dead_letters import copy_attributes, copy_headers
from eventbus.model import ClusterTime, DeadLetter, Event, Failure, Rejected
from eventbus.runtime.copies import Copy
from eventbus.sdk import Encoder, Sink
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.state.store import StoredDeadLetter

KEY = bson.encode({"_id": "a"})
BROKEN = b"\x05\0\0\0\x01"
TOO_LARGE = Rejected("more than I take", Failure.TOO_LARGE)
KAFKA = KafkaSink(
    "dead",
    KafkaOptions.model_validate(
        {"bootstrap_servers": "localhost:9092", "topic": "dead.{collection}", "max_request_size": "2KiB"}
    ),
)
REDIS = RedisSink(
    "dead", RedisOptions.model_validate({"url": "redis://localhost", "mode": "stream", "stream": "dead"})
)


def _encoder(stored: StoredDeadLetter, omitted: str) -> tuple[Encoder, Sequence[tuple[str, bytes]]]:
    attributes = copy_attributes(stored.letter, stored.id, omitted=omitted)
    return CloudEventsEncoder("s", extensions=attributes), copy_headers(stored.letter, stored.id, sink="r")


def _copy(sink: Sink = KAFKA, omits: str = "", **parts: Any) -> Copy:
    whole: dict[str, Any] = {"document_key": KEY, "document": bson.encode({"n": 1}), **parts}
    event = Event(
        token="82",
        operation="update",
        database="shop",
        collection="orders",
        cluster_time=ClusterTime(7, 1),
        fragment=2,
        **whole,
    )
    letter = DeadLetter("s", "r", event, "refused", attempts=1)
    return Copy(StoredDeadLetter(letter, b"key", datetime.now(UTC), "parked", id="0f"), sink, _encoder, omits)


def _read(copy: Copy) -> dict[str, Any]:
    assert copy.message is not None
    body: dict[str, Any] = orjson.loads(copy.message.body)
    assert body["id"] == copy.message.event.id == copy.stored.letter.event.id
    assert (body["clustertime"], body["failurereason"]) == ("7.1", "refused")
    return body


def test_a_copy_has_the_whole_event_and_the_headers_of_both() -> None:
    copy = _copy()
    body = _read(copy)
    assert body["data"]["document"] == {"n": 1}
    assert "dataomitted" not in body
    assert copy.message is not None
    assert copy.message.target == "dead.orders"
    assert {"content-type", "event-id", "__connect.errors.topic", "eventbus-dead-letter-id"} <= {
        name for name, _ in copy.message.headers
    }


def test_documents_that_are_to_be_left_out_are_in_no_form_of_it() -> None:
    copy = _copy(omits="a stage mask of the route hides fields", before=bson.encode({"n": 1}))
    body = _read(copy)
    assert (body["data"]["document"], body["data"]["before"]) == (None, None)
    assert body["data"]["document_key"] == {"_id": "a"}
    assert body["dataomitted"] == "a stage mask of the route hides fields"
    assert copy.shrink(TOO_LARGE)
    assert _read(copy)["data"]["document"] is None


def test_an_event_that_is_too_large_has_its_identity_and_the_reason() -> None:
    body = _read(_copy(document=bson.encode({"n": "x" * 3000})))
    assert body["data"]["document"] is None
    assert body["data"]["document_key"] == {"_id": "a"}
    assert "more than max_request_size 2048" in body["dataomitted"]


def test_a_document_without_a_form_is_left_out() -> None:
    body = _read(_copy(document=BROKEN))
    assert body["subject"] == "a"
    assert body["dataomitted"].startswith("not encodable: document: not valid BSON")


@pytest.mark.parametrize("sink", [KAFKA, REDIS], ids=["kafka", "redis"])
def test_so_is_a_document_key(sink: Sink) -> None:
    """Of which no message key can be made, either: the store's stands for it."""
    copy = _copy(sink, document_key=BROKEN)
    body = _read(copy)
    assert body["data"]["document_key"] is None
    assert "dataomitted" in body
    assert copy.message is not None
    assert copy.message.event.key == b"key"


def test_a_sink_that_finds_it_too_large_later_gets_less() -> None:
    """A broker's own limit, for instance; at last there is nothing left to leave out."""
    copy = _copy()
    assert copy.shrink(TOO_LARGE)
    body = _read(copy)
    assert (body["data"]["document"], body["dataomitted"]) == (None, "more than I take")
    assert copy.shrink(TOO_LARGE)
    assert _read(copy)["data"]["document_key"] is None
    assert not copy.shrink(TOO_LARGE)
    assert copy.message is None


def test_what_is_refused_for_another_reason_is_not_made_smaller() -> None:
    assert not _copy().shrink(Rejected("no such topic"))
