"""Raw changes to events, against what the driver decodes: random documents through a real change stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import bson
import pytest
from bson import Int64
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError
from eventbus.model import Event, PositionKind, Section
from eventbus.sources.mongodb.change import event_of
from eventbus.sources.mongodb.changes import ChangeDecoder
from eventbus.sources.mongodb.classify import Classified
from eventbus.sources.mongodb.elements import elements
from eventbus.sources.mongodb.namespaces import Namespaces
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.usual import usual_event
from tests.sources.bson_values import DOCUMENTS, NAMES, VALUES
from tests.sources.watching import Document

SyncClient: TypeAlias = MongoClient[Document]
Write: TypeAlias = tuple[str, Any]

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
TOKEN = {"_data": "826B013FDD000000062B022C0100296E04"}


def slots(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in Event.__slots__}


def reply_of(*changes: Document, token: Document = TOKEN) -> Reply:
    """A server's answer with these changes."""
    cursor = {"id": 5, "ns": "shop.orders", "nextBatch": list(changes), "postBatchResumeToken": token}
    return Reply.of(bson.encode({"cursor": cursor, "ok": 1.0}))


def change(**fields: Any) -> Document:
    """An insert as the server lays it out, with fields replaced."""
    whole = {
        "_id": TOKEN,
        "operationType": "insert",
        "clusterTime": bson.Timestamp(0x6B013FDD, 6),
        "wallTime": bson.DatetimeMS(1234),
        "fullDocument": {"_id": 1},
        "ns": {"db": "shop", "coll": "orders"},
        "documentKey": {"_id": 1},
    }
    return {name: value for name, value in (whole | fields).items() if value is not ...}


WRITES: st.SearchStrategy[Write] = st.one_of(
    st.tuples(st.just("insert"), DOCUMENTS),
    st.tuples(st.just("replace"), DOCUMENTS),
    st.tuples(
        st.just("set"),
        st.dictionaries(NAMES.filter(lambda name: name != "_id"), VALUES, min_size=1, max_size=3),
    ),
    st.tuples(st.just("unset"), st.lists(NAMES.filter(lambda name: name != "_id"), min_size=1, max_size=3)),
    st.tuples(st.just("delete"), st.none()),
)


@pytest.fixture(scope="module")
def sync_client(mongo: MongoService) -> Iterator[SyncClient]:
    with SyncClient(mongo.uri) as client:
        yield client


@pytest.mark.services
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(WRITES, min_size=1, max_size=8), images=st.booleans(), splits=st.booleans())
def test_what_the_driver_decodes(
    sync_client: SyncClient, fresh_database: str, writes: list[Write], images: bool, splits: bool
) -> None:
    """Every section of every event is, byte for byte and value for value, what ``watch()`` gives."""
    database = sync_client[fresh_database]
    database.drop_collection("things")
    database.create_collection("things", changeStreamPreAndPostImages={"enabled": images})
    options = {"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "whenAvailable"} if images else {}
    stages: list[Document] = [{"$changeStreamSplitLargeEvent": {}}] if splits else []
    command = {
        "aggregate": "things",
        "pipeline": [{"$changeStream": options}, *stages],
        "cursor": {"batchSize": 0},
    }
    cursor = database.command(command)["cursor"]
    start = cursor["postBatchResumeToken"]
    count = carry_out(database.things, writes)

    decoder, events = ChangeDecoder(), list[Event]()
    while len(events) < count:
        more = {"getMore": cursor["id"], "collection": "things", "maxTimeMS": 1000}
        reply = Reply.of(bytes(database.command(more, codec_options=RAW).raw))
        agree(reply)
        events += decoder.events(reply)
    with database.things.watch(
        stages,
        resume_after=start,
        full_document=options.get("fullDocument"),
        full_document_before_change=options.get("fullDocumentBeforeChange"),
    ) as stream:
        for event in events:
            same(event, stream.next())


def carry_out(things: Any, writes: list[Write]) -> int:
    """Do the writes; how many changes they made."""
    count = 0
    for i, (kind, what) in enumerate([("insert", {}), *writes]):
        if kind == "insert":
            things.insert_one({**what, "_id": (i, i + 0.5, Int64(i), f"key {i}")[i % 4]})
            count += 1
            continue
        match kind:
            case "replace":
                result = things.replace_one({}, {key: value for key, value in what.items() if key != "_id"})
            case "set":
                result = things.update_one({}, {"$set": what})
            case "unset":
                result = things.update_one({}, {"$unset": dict.fromkeys(what, 1)})
            case _:
                result = things.delete_one({})
        count += result.deleted_count if kind == "delete" else result.modified_count
    return count


def agree(reply: Reply) -> None:
    """The quick way and the general one read the same, and the quick one reads every ordinary change."""
    names = Namespaces(), Classified()
    for start in reply.starts():
        quick = usual_event(reply.buffer, start, *names)
        size = int.from_bytes(reply.buffer[start : start + 4], "little")
        fields = elements(reply.buffer, start)
        assert quick is not None
        assert slots(quick) == slots(event_of(fields, *names, size=size))


def same(event: Event, seen: Document) -> None:
    def equal(section: Section, decoded: object) -> None:
        assert section is None or isinstance(section, bytes)
        assert repr(None if section is None else bson.decode(section)) == repr(decoded)

    update = seen.get("updateDescription", {})
    assert (event.operation, event.token) == (seen["operationType"], seen["_id"]["_data"])
    assert (event.database, event.collection) == (seen["ns"]["db"], seen["ns"]["coll"])
    equal(event.document_key, seen["documentKey"])
    equal(event.document, seen.get("fullDocument"))
    equal(event.before, seen.get("fullDocumentBeforeChange"))
    equal(event.changed, update.get("updatedFields"))
    assert list(event.removed) == update.get("removedFields", [])


UPDATE = change(
    operationType="update",
    updateDescription={"updatedFields": {"a": 1}, "removedFields": ["b", "c.d"], "truncatedArrays": []},
    fullDocumentBeforeChange={"_id": 1, "b": 2},
)


@given(st.permutations(list(UPDATE)), st.integers(0, len(UPDATE)), DOCUMENTS)
def test_any_order_of_fields_and_any_further_fields(order: list[str], place: int, further: Document) -> None:
    """Where the server puts its fields, and what else it sends, makes no difference."""
    new = {f"new{name}": value for name, value in further.items()}
    mixed = (
        {name: UPDATE[name] for name in order[:place]} | new | {name: UPDATE[name] for name in order[place:]}
    )
    (expected,) = ChangeDecoder().events(reply_of(UPDATE))
    (event,) = ChangeDecoder().events(reply_of(mixed))
    assert slots(event) | {"size": 0} == slots(expected) | {"size": 0}


def test_what_stands_last() -> None:
    """A field that the quick way does not expect at the end is not passed over."""
    last = {name: UPDATE[name] for name in UPDATE if name != "updateDescription"}
    last["updateDescription"] = UPDATE["updateDescription"]
    (event,) = ChangeDecoder().events(reply_of(last))
    assert event.removed == ("b", "c.d")
    decoder = ChangeDecoder()
    assert decoder.events(reply_of(change(splitEvent={"fragment": 1, "of": 2}))) == []


def test_what_an_update_tells_besides() -> None:
    """The quick way leaves what it does not know inside of the update to the general one."""
    update = dict(UPDATE["updateDescription"])
    truncated = [{"field": "a", "newSize": 2}]
    for more, told in (
        ({"truncatedArrays": truncated}, {"truncated_arrays": truncated}),
        ({"disambiguatedPaths": {"a.0": ["a", 0]}}, {"disambiguated_paths": {"a.0": ["a", 0]}}),
        ({"disambiguatedPaths": {}}, None),
    ):
        (event,) = ChangeDecoder().events(reply_of({**UPDATE, "updateDescription": {**update, **more}}))
        assert (None if event.details is None else bson.decode(event.details)) == told  # type: ignore[arg-type]
        assert event.removed == ("b", "c.d")
    (event,) = ChangeDecoder().events(
        reply_of(
            {
                "_id": TOKEN,
                "txnNumber": Int64(4),
                "lsid": {"id": 1},
                **{k: UPDATE[k] for k in list(UPDATE)[1:]},
            }
        )
    )
    assert isinstance(event.details, bytes)
    assert bson.decode(event.details) == {"transaction": {"session": {"id": 1}, "number": 4, "index": 0}}


@pytest.mark.parametrize("behind", [b"", bson.encode(change())], ids=["end of bytes", "another change"])
@pytest.mark.parametrize("operation", ["insert", "update", "delete", "invalidate"])
def test_the_quick_way_never_reads_beyond_its_change(operation: str, behind: bytes) -> None:
    """A change with fewer fields than usual is left to the general way, whatever lies behind it."""
    whole = list(change(operationType=operation).items())
    for count in range(len(whole)):
        raw = bson.encode(dict(whole[:count]))
        assert usual_event(raw + behind, 0, Namespaces(), Classified()) is None


def test_an_event_without_its_operation() -> None:
    """What no event can be without is asked for by name."""
    with pytest.raises(ConfigurationError, match="operationType"):
        ChangeDecoder().events(reply_of(change(operationType=...)))


def test_invalidate() -> None:
    """An invalidate has no namespace, and its position is of its own kind."""
    (event,) = ChangeDecoder().events(
        reply_of(change(operationType="invalidate", ns=..., documentKey=..., fullDocument=...))
    )
    assert (event.database, event.collection, event.position.kind) == ("", "", PositionKind.INVALIDATE)


def fragments_of(whole: Document, *groups: tuple[str, ...]) -> list[Document]:
    """A change in fragments, as the server splits it: every top-level field in one of them."""
    return [
        {
            "_id": {"_data": f"{TOKEN['_data']}{i:02X}"},
            "splitEvent": {"fragment": i + 1, "of": len(groups)},
            **{name: whole[name] for name in group},
        }
        for i, group in enumerate(groups)
    ]


def test_fragments_over_several_replies() -> None:
    """A change in fragments becomes one event with the last one's token, whatever reply each comes in."""
    whole = change(operationType="update", fullDocumentBeforeChange={"_id": 1, "a": 2})
    parts = fragments_of(
        whole,
        ("operationType", "ns", "clusterTime", "wallTime", "documentKey"),
        ("fullDocument",),
        ("fullDocumentBeforeChange",),
    )
    decoder = ChangeDecoder()
    seen = [
        (decoder.events(reply), decoder.in_fragments)
        for reply in (reply_of(parts[0]), reply_of(*parts[1:], change()))
    ]
    assert seen[0] == ([], True)
    (event, after), in_fragments = seen[1]
    assert not in_fragments
    assert event.token == parts[2]["_id"]["_data"]
    assert event.fragment == 2
    assert event.size == sum(len(bson.encode(part)) for part in parts)
    same(event, {**whole, "_id": parts[2]["_id"]})
    same(after, change())


def test_fragments_that_are_begun_again() -> None:
    """When a stream is opened again the fragments begin with the first; what was kept is no part of them."""
    parts = fragments_of(change(), ("operationType", "ns", "fullDocument"), ("documentKey",))
    decoder = ChangeDecoder()
    decoder.events(reply_of(parts[0]))
    decoder.forget()
    (event,) = decoder.events(reply_of(*parts))
    assert event.size == sum(len(bson.encode(part)) for part in parts)


def test_a_fragment_out_of_turn() -> None:
    """Half an event is never given out for a whole one."""
    parts = fragments_of(change(), ("operationType", "ns", "fullDocument"), ("documentKey",))
    with pytest.raises(AssertionError, match="fragment 2 of 2"):
        ChangeDecoder().events(reply_of(parts[1]))


def test_namespaces_are_bounded() -> None:
    """A cluster that makes collections without end does not fill our memory."""
    namespaces = Namespaces()
    for i in range(25_000):
        assert namespaces[bson.encode({"db": "shop", "coll": f"c{i}"})] == ("shop", f"c{i}")
    assert len(namespaces) <= 10_000
