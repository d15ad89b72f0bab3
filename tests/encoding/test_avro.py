"""Avro: read by another package's reader, with the schema that the registry has for the message's id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.abc
import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat

from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.avro import RegisteredSchema
from eventbus.encoding.choice import Origin, contradictions, encoder_of, schema_of
from eventbus.errors import ConfigurationError, EncodingError, NoForm, Unreachable
from eventbus.sdk import DELIVERED, Encoder, Message
from eventbus.sinks.registering import RegisteringSink, SchemaRegistry
from tests.encoding.changes import KAFKA, LINES, change, encoder
from tests.encoding.schema_registry import SchemaRegistryServer, serving
from tests.sinks.test_claiming import Shelf, Target

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[SchemaRegistryServer]:
    async with serving() as running:
        yield running


def _policy(url: str = "http://localhost", **options: Any) -> EncodingPolicy:
    encoding = EncodingPolicy.model_validate({"format": "avro", "registry": {"url": url}, **options})
    assert list(contradictions(encoding, KAFKA)) == []
    return encoding


def _client(server: SchemaRegistryServer, **options: Any) -> SchemaRegistry:
    settings: dict[str, Any] = {"login": None, "registers": True, "timeout_secs": 5.0}
    return SchemaRegistry(server.url + "/", **settings | options)


async def _registered(server: SchemaRegistryServer, **options: Any) -> tuple[Encoder, RegisteredSchema]:
    encoding = _policy(**options)
    assert encoding.registry is not None
    schema = schema_of(encoding, "order-events", encoding.registry.subject)
    schema.id = await _client(server).id_of(schema)
    return encoder_of(encoding, Origin("order-events", "orders"), KAFKA, schema), schema


async def test_cloudevents_in_their_own_avro_format(server: SchemaRegistryServer) -> None:
    """The attributes and the data of the JSON form, which the project's package reads back."""
    event = change()
    avro, schema = await _registered(server, json="plain", without=["total"])
    assert (schema.subject, server.subjects) == ("io.cloudevents.CloudEvent", {schema.subject: [1]})
    record = server.read(avro.encode(event))
    structured = orjson.loads(encoder(json="plain", without=["total"]).encode(event))
    data = structured.pop("data")
    assert record["attribute"] == structured
    assert orjson.loads(record["data"]) == data
    read = JSONFormat().read(
        None, orjson.dumps({**record["attribute"], "data": orjson.loads(record["data"])})
    )
    assert read.get_id() == event.id
    assert avro.content_type == "application/vnd.apache.avro"
    assert avro.encode(event) is avro.encode(event), "routes of one encoder share its work"


async def test_the_debezium_envelope_in_avro(server: SchemaRegistryServer) -> None:
    """The record is the payload of the JSON form, for every kind of change."""
    avro, schema = await _registered(
        server, envelope="debezium", registry={"url": "http://x", "subject": "a/b"}
    )
    assert schema.subject == "a/b"
    assert server.requests == ["/subjects/a/b/versions"]
    definition = json.loads(server.schemas[1])
    assert (definition["namespace"], definition["name"]) == ("order_events", "Envelope")
    details = {"truncated_arrays": [{"field": "items", "newSize": 2}]}
    for parts in (
        {"details": details, "before": {"_id": 1}},
        {"operation": "insert", "changed": None, "removed": ()},
        {"operation": "delete", "changed": None, "removed": (), "document": None},
    ):
        event = change(**parts)
        assert server.read(avro.encode(event)) == orjson.loads(encoder(envelope="debezium").encode(event))
    with pytest.raises(NoForm):
        avro.encode(change(operation="drop", document_key=None))


async def test_what_does_not_fit_the_schema_is_an_encoding_error(server: SchemaRegistryServer) -> None:
    """A time that no long holds, for one."""
    avro, _ = await _registered(server, envelope="debezium")
    with pytest.raises(EncodingError, match="no Avro form: "):
        avro.encode(change(time_ms=2**70))


async def test_a_schema_is_registered_once_and_has_one_id(server: SchemaRegistryServer) -> None:
    """Whoever asks; and is only looked up where registering is not ours."""
    encoding = _policy()
    first, second = schema_of(encoding, "a"), schema_of(encoding, "b")
    assert await _client(server).id_of(first) == await _client(server).id_of(second) == 1
    known = _client(server, registers=False)
    assert await known.id_of(first) == 1
    assert server.requests[-1] == "/subjects/io.cloudevents.CloudEvent"
    with pytest.raises(Unreachable, match=r"answered 404 for a\.Envelope"):
        await known.id_of(schema_of(_policy(envelope="debezium"), "a"))


async def test_it_says_who_asks(server: SchemaRegistryServer) -> None:
    """What is wrong with the login may be mended there, so it is waited for."""
    server.login = ("me", "secret")
    schema = schema_of(_policy(), "a")
    with pytest.raises(Unreachable, match="answered 401"):
        await _client(server, login=("me", "wrong")).id_of(schema)
    assert await _client(server, login=("me", "secret")).id_of(schema) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (409, ConfigurationError),
        (422, ConfigurationError),
        (429, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
        (301, Unreachable),
    ],
)
async def test_what_an_answer_means(
    server: SchemaRegistryServer, status: int, error: type[Exception]
) -> None:
    """A schema that is refused stays refused; all else passes."""
    server.answer = status
    with pytest.raises(error, match=f"answered {status} for io.cloudevents.CloudEvent"):
        await _client(server).id_of(schema_of(_policy(), "a"))


async def test_a_registry_that_is_away_is_waited_for(server: SchemaRegistryServer) -> None:
    """The sink is not open before; then the id is known, and nobody asks again."""
    schema = schema_of(_policy(), "a")
    away = SchemaRegistry("http://127.0.0.1:1", login=None, registers=True, timeout_secs=5.0)
    with pytest.raises(Unreachable, match="does not answer: ClientConnectorError"):
        await away.id_of(schema)
    shelf = Shelf()
    sink = RegisteringSink(Target(shelf), {("a", "route"): (schema, away)})
    with pytest.raises(Unreachable):
        await sink.open()
    assert shelf.steps == []
    sink = RegisteringSink(Target(shelf), {("a", "route"): (schema, _client(server))})
    for _ in range(2):
        await sink.open()
    assert len(server.requests) == 1
    assert schema.id == 1
    assert sink.schema("a", "route") is schema
    assert sink.schema("a", "other") is None
    avro = encoder_of(_policy(), Origin("a", "a"), KAFKA, sink.schema("a", "route"))
    message = sink.encode(change(), avro)
    assert isinstance(message, Message)
    assert await sink.send([message]) == [DELIVERED]
    await sink.close()
    assert shelf.steps == ["sink opened", "sink opened", "sent 1", "sink closed"]
    assert server.read(message.body)["attribute"]["subscription"] == "a"


async def test_a_registry_that_hangs_is_away(server: SchemaRegistryServer) -> None:
    """For as long as it may take an answer."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        client = SchemaRegistry(f"http://127.0.0.1:{port}", login=None, registers=True, timeout_secs=0.1)
        with pytest.raises(Unreachable, match="does not answer: TimeoutError"):
            await client.id_of(schema_of(_policy(), "a"))


async def test_an_answer_without_an_id_is_none(server: SchemaRegistryServer) -> None:
    """Something else listens there."""
    server.answer = 200
    with pytest.raises(Unreachable, match="gave no id"):
        await _client(server).id_of(schema_of(_policy(), "a"))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"registry": None}, "registry"),
        ({"envelope": "document"}, "format"),
        ({"mode": "binary"}, "format"),
        ({"body": {}}, "format"),
        ({"claim_check": {}}, "claim_check"),
        ({"envelope": "debezium", "schema": True}, "schema"),
        ({"format": "json"}, "registry"),
    ],
)
def test_what_does_not_go_together_with_avro(options: dict[str, Any], key: str) -> None:
    """It is said at its key."""
    whole = {"format": "avro", "registry": {"url": "http://localhost"}} | options
    found = dict(contradictions(EncodingPolicy.model_validate(whole), KAFKA))
    assert list(found) == [key]
    assert "format" in dict(contradictions(_policy(), LINES))
