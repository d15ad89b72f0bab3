"""Attributes in headers, read by the CloudEvents project's own package as the bindings say."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http, kafka
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from eventbus.model import Event
from eventbus.sdk import Encoder
from tests.encoding.changes import HTTP, KAFKA, change, encoder, read


def _over_kafka(event: Event, encoder: Encoder) -> BaseCloudEvent:
    headers = dict(encoder.headers(event))
    headers["content-type"] = encoder.content_type.encode()
    message = kafka.KafkaMessage(headers=headers, key=None, value=encoder.encode(event))
    return kafka.from_kafka_event(message)


def _over_http(event: Event, encoder: Encoder) -> BaseCloudEvent:
    headers = {name: value.decode("ascii") for name, value in encoder.headers(event)}
    headers["content-type"] = encoder.content_type
    return http.from_http_event(http.HTTPMessage(headers=headers, body=encoder.encode(event)))


WAYS = {"kafka": (KAFKA, _over_kafka), "http": (HTTP, _over_http)}
STRUCTURED = JSONFormat()
UNUSUAL = change(
    database='größe "%20"',
    collection="a b/c",
    document_key=bson.encode({"_id": '50% of "ü"\n'}),
    operation="replace",
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("event", [change(), UNUSUAL, change(document_key=None, operation="drop")], ids=repr)
def test_both_modes_tell_the_same(event: Event, way: str) -> None:
    """Attributes and data, whatever characters are in them."""
    carries, over = WAYS[way]
    binary = over(event, encoder(carries, mode="binary"))
    structured = STRUCTURED.read(None, encoder(carries).encode(event))
    assert binary.get_attributes() == structured.get_attributes()
    assert _data(binary) == structured.get_data()


def _data(event: BaseCloudEvent) -> Any:
    data = event.get_data()
    return orjson.loads(data) if isinstance(data, bytes) else data


@pytest.mark.parametrize("way", WAYS)
@given(subject=st.text(min_size=1), database=st.text())
def test_any_text_comes_back(way: str, subject: str, database: str) -> None:
    """HTTP headers are ASCII without line breaks; Kafka's are any bytes."""
    carries, over = WAYS[way]
    event = change(document_key={"_id": subject}, database=database)
    attributes = over(event, encoder(carries, mode="binary")).get_attributes()
    assert attributes == STRUCTURED.read(None, encoder().encode(event)).get_attributes()


def test_the_body_is_the_data_alone_in_any_form() -> None:
    """JSON of every mode, raw BSON, a layout of one's own."""
    event = change()
    structured = orjson.loads(encoder(json="plain").encode(event))
    assert orjson.loads(encoder(HTTP, mode="binary", json="plain").encode(event)) == structured["data"]
    as_bson = encoder(KAFKA, mode="binary", format="bson")
    data = bson.decode(as_bson.encode(event))
    assert as_bson.content_type == "application/bson"
    assert list(data) == list(structured["data"])
    assert data["document"] == read(change().document)
    own = encoder(HTTP, mode="binary", body={"total": "{document.total}"})
    assert own.encode(event) == b'{"total":19.99}'
    assert dict(own.headers(event))["ce-id"] == event.id.encode()


def test_a_replay_is_marked_in_headers() -> None:
    """By the attribute in binary mode, and by a header of ours beside other envelopes."""
    event = change()
    assert dict(encoder(KAFKA, "op1", mode="binary").headers(event))["ce_replay"] == b"op1"
    assert encoder(KAFKA, "op1", envelope="debezium").headers(event) == [("eventbus-replay", b"op1")]
    assert encoder(KAFKA, envelope="debezium").headers(event) == ()
    assert encoder(HTTP, "op1", envelope="debezium").headers(event) == (), "a request may have several"
    assert encoder(replay="op1", envelope="debezium").headers(event) == (), "a sink without headers"
