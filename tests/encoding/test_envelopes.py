"""The envelopes change and document, what goes together, and which routes share their work."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest
from bson import Binary, Int64, Timestamp, json_util

from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.choice import contradictions
from eventbus.errors import EncodingError, NoForm
from eventbus.sdk import Carries
from tests.encoding.changes import HTTP, KAFKA, LINES, OBJECT_ID, PLAIN_SINK, change, encoder, read

BROKEN = b"\x0e\0\0\0\x02v\0\x02\0\0\0\xff\0\0"


def test_a_change_as_the_driver_shows_it() -> None:
    """In BSON and in JSON; documents in it stay as they were."""
    session = {"id": Binary(b"\1" * 16, 4)}
    details = {
        "transaction": {"session": session, "number": Int64(3)},
        "disambiguated_paths": {"a.b": ["a.b"]},
    }
    event = change(details=details, extra=b"\x80", before=bson.encode({"_id": OBJECT_ID}))
    as_bson = encoder(envelope="change", format="bson")
    shown = bson.decode(as_bson.encode(event))
    assert as_bson.content_type == "application/bson"
    assert shown == {
        "_id": {"_data": event.token, "_typeBits": b"\x80"},
        "operationType": "update",
        "clusterTime": Timestamp(1_700_000_000, 7),
        "wallTime": shown["wallTime"],
        "fullDocument": read(event.document),
        "ns": {"db": "shop", "coll": "orders"},
        "documentKey": {"_id": OBJECT_ID},
        "updateDescription": {
            "updatedFields": {"status": "paid"},
            "removedFields": ["note"],
            "truncatedArrays": [],
            "disambiguatedPaths": {"a.b": ["a.b"]},
        },
        "fullDocumentBeforeChange": {"_id": OBJECT_ID},
        "lsid": session,
        "txnNumber": 3,
    }
    text = encoder(envelope="change", json="canonical").encode(event)
    assert orjson.loads(text) == orjson.loads(
        json_util.dumps(shown, json_options=json_util.CANONICAL_JSON_OPTIONS)
    )


def test_a_rename_tells_where_to() -> None:
    """It updates nothing."""
    to = {"to": {"db": "shop", "coll": "old"}}
    event = change(operation="rename", document_key=None, document=None, changed=to, removed=())
    shown = orjson.loads(encoder(envelope="change").encode(event))
    assert shown["to"] == {"db": "shop", "coll": "old"}
    assert "updateDescription" not in shown
    drop = change(operation="dropDatabase", collection="", document_key=None, document=None, changed=None)
    assert orjson.loads(encoder(envelope="change").encode(drop))["ns"] == {"db": "shop"}


def test_a_document_alone() -> None:
    """The very bytes of the server in BSON."""
    event = change()
    assert encoder(envelope="document", format="bson").encode(event) == event.document
    assert orjson.loads(encoder(envelope="document", json="plain").encode(event)) == {
        "_id": str(OBJECT_ID),
        "status": "paid",
        "total": 19.99,
        "cents": 1999,
    }
    decoded = change(document=read(event.document))
    assert encoder(envelope="document", format="bson").encode(decoded) == event.document


@pytest.mark.parametrize("form", ["json", "bson"])
def test_a_delete_is_a_tombstone_where_there_are_any(form: str) -> None:
    """Elsewhere the key, and that it was deleted."""
    event = change(operation="delete", document=None, changed=None, removed=())
    assert encoder(KAFKA, envelope="document", format=form).encode(event) == b""
    told = encoder(HTTP, envelope="document", format=form).encode(event)
    found = bson.decode(told) if form == "bson" else json_util.loads(told.decode())
    assert found == {"_id": OBJECT_ID, "__deleted": True}


def test_a_change_that_came_without_its_document_is_parked_and_not_lost() -> None:
    """What concerns no document is left out."""
    with pytest.raises(EncodingError, match=r"see source\.full_document") as caught:
        encoder(envelope="document").encode(change(document=None))
    assert not isinstance(caught.value, NoForm)
    with pytest.raises(NoForm, match="drop concerns no document"):
        encoder(envelope="document").encode(change(operation="drop", document_key=None))


@pytest.mark.parametrize("options", [{"envelope": "change"}, {"envelope": "change", "format": "bson"}])
def test_what_is_no_bson_is_an_encoding_error(options: dict[str, Any]) -> None:
    """The same for values that no driver can store."""
    with pytest.raises(EncodingError):
        encoder(**options).encode(change(document=b"\1\2"))
    with pytest.raises(EncodingError, match="no BSON form: InvalidDocument"):
        encoder(**options).encode(change(document={"secret": object()}))


def test_routes_of_equal_encoding_share_the_work_whatever_lies_between() -> None:
    """Each encoder's work is kept with the event."""
    event = change()
    several = [encoder(envelope=name) for name in ("change", "debezium", "document")]
    first = [one.encode(event) for one in several]
    assert all(one.encode(event) is body for one, body in zip(several, first, strict=True))


@pytest.mark.parametrize(
    ("options", "carries", "key", "why"),
    [
        ({"envelope": "change", "mode": "binary"}, KAFKA, "mode", "not of change"),
        ({"mode": "binary"}, PLAIN_SINK, "mode", "needs a sink with headers"),
        ({"format": "bson"}, KAFKA, "format", "needs the envelope change or document"),
        ({"format": "bson", "envelope": "debezium"}, KAFKA, "format", "needs the envelope"),
        ({"format": "bson", "body": "{document}"}, KAFKA, "format", "needs the envelope"),
        ({"format": "bson", "envelope": "change"}, LINES, "format", "is no text"),
        ({"format": "bson", "envelope": "change", "json": "plain"}, KAFKA, "json", "the format is bson"),
        ({"schema": True}, KAFKA, "schema", "belongs to the envelope debezium"),
        ({"schema": True, "envelope": "debezium", "body": 1}, KAFKA, "schema", "not to body"),
        ({"fields": ["a"], "without": ["b"]}, KAFKA, "without", "does not go together with fields"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], carries: Carries, key: str, why: str) -> None:
    """It is said at its key, before anything runs."""
    ((found, text),) = contradictions(EncodingPolicy.model_validate(options), carries)
    assert found == key
    assert why in text
