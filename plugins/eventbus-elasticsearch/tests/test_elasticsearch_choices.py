"""What the sink decides without a server: names, lines, versions, outcomes, and options that do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from eventbus.sdk import (
    DELIVERED,
    ClusterTime,
    EncodingError,
    Event,
    Failure,
    Fault,
    Message,
    Rejected,
    Retry,
)
from eventbus.testing import Changes, PlainEncoder
from eventbus_elasticsearch import ElasticsearchOptions
from eventbus_elasticsearch.actions import Actions, version_of
from eventbus_elasticsearch.outcomes import outcome_of_document, outcome_of_request

USUAL: dict[str, Any] = {"hosts": ["http://host:9200"], "index": "shop"}


class TextEncoder(PlainEncoder):
    """Gives one text, whatever the event."""

    def __init__(self, text: str) -> None:
        self._text = text

    def encode(self, event: Event) -> bytes:
        return self._text.encode()


def _actions(**options: Any) -> Actions:
    return Actions(ElasticsearchOptions.model_validate(USUAL | options))


def _made(event: Event, text: str = '{"a":1}', **options: Any) -> Message:
    made = _actions(**options).encode(event, TextEncoder(text))
    assert isinstance(made, Message), made
    return made


def _lines(event: Event, text: str = '{"a":1}', **options: Any) -> list[Any]:
    lines = _actions(**options).lines(_made(event, text, **options))
    assert lines.endswith(b"\n")
    return [json.loads(line) for line in lines.splitlines()]


def test_each_operation_has_its_lines() -> None:
    """With a version where the server takes one, and with what decides on the shard and the pipeline."""
    changes = Changes()
    event, delete = changes.change("a"), changes.change("a", operation="delete", document=None)
    version = {"version": version_of(event), "version_type": "external_gte"}
    place = {"_index": "shop", "_id": "a"}
    assert _lines(event, routing="{collection}", pipeline="p") == [
        {"index": place | {"routing": "orders"} | version | {"pipeline": "p"}},
        {"a": 1},
    ]
    later = {"version": version_of(delete), "version_type": "external_gte"}
    assert _lines(delete, routing="{collection}", pipeline="p") == [
        {"delete": place | {"routing": "orders"} | later}
    ]
    assert _lines(event, version="none") == [{"index": place}, {"a": 1}]
    assert _lines(event, operation="update") == [
        {"update": place | {"retry_on_conflict": 3}},
        {"doc_as_upsert": True, "doc": {"a": 1}},
    ]
    assert _lines(delete, operation="create") == [
        {"create": {"_index": "shop", "_id": delete.id}},
        {"a": 1},
    ]


def test_versions_grow_with_the_clusters_clock() -> None:
    """By its counter within a second, too; the changes of one transaction have one version."""
    times = [ClusterTime(1, 2), ClusterTime(1, 3), ClusterTime(2, 1), ClusterTime(2**32 - 1, 2**32 - 1)]
    versions = [version_of(Changes().change("a", cluster_time=time)) for time in times]
    assert versions == sorted({version for version in versions if version is not None})
    assert (versions[-1] or 0) < 2**63
    refused = _actions().encode(Changes().change("a", cluster_time=None), PlainEncoder())
    assert isinstance(refused, Rejected)
    assert "write `version: none`" in refused.reason


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"_id":7,"a":1.50}', '{"a":1.50}'),
        ('{"_id":{"$oid":"x,}"}}', "{}"),
        ('{"a":{"_id":1},"_id":"x","b":"_id"}', '{"a":{"_id":1},"b":"_id"}'),
        ('{ "a" : 12345678901234567890123, "_id" : [1] }', '{ "a" : 12345678901234567890123}'),
        ('{"a":[{"_id":1}]}', '{"a":[{"_id":1}]}'),
    ],
)
def test_the_servers_own_field_is_cut_out(text: str, left: str) -> None:
    """And nothing else is touched."""
    assert _made(Changes().change("a"), text).body.decode() == left


@pytest.mark.parametrize("text", ["[1]", "", '{"a":\n1}', '{"_id":', '{"_id"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    """The server would refuse the whole request."""
    with pytest.raises(EncodingError, match="no JSON object"):
        _actions().encode(Changes().change("a"), TextEncoder(text))


def test_names_of_indices_are_made_of_values_and_dates() -> None:
    """In lower case, and with what no name may hold replaced; the date is the change's, in UTC."""
    event = Changes().change("a", collection="Or,ders %Y", time_ms=1_700_000_000_000)
    assert _made(event, index="shop-{collection}").target == "shop-or_ders_%y"
    named = _made(event, index="{collection}-%Y.%m.%d-%%", operation="create")
    assert named.target == "or_ders_%y-2023.11.14-%"
    missing = _actions(index="{meta.month}").encode(event, PlainEncoder())
    assert missing == Rejected("no index: the event has no value for a name in `index`")
    wrong = _actions(index="{collection}").encode(Changes().change("a", collection="_x"), PlainEncoder())
    assert isinstance(wrong, Rejected)


def test_what_concerns_no_document_of_the_index_has_no_place() -> None:
    """Deletes that are to be ignored, and what the daemon says, are passed over; a drop is not."""
    changes = Changes()
    delete = changes.change("a", operation="delete", document=None)
    assert _made(delete, deletes="ignore").target == ""
    assert _made(changes.change("a", operation="eventbus.watermark")).target == ""
    assert _made(changes.change("a", operation="eventbus.gap"), operation="create").target == "shop"
    for refused in (changes.change("a", operation="drop"), changes.change("ä" * 300)):
        assert isinstance(_actions().encode(refused, PlainEncoder()), Rejected)


def _of(status: int, kind: str, reason: str = "", name: str = "index", *, is_versioned: bool = True) -> Any:
    result = {"status": status, "error": {"type": kind, "reason": reason}}
    return outcome_of_document(name, result, is_versioned=is_versioned)


def test_what_is_there_already_is_delivered() -> None:
    """A conflict says so where there is a version, or an event's id; elsewhere others write, too."""
    conflict = (409, "version_conflict_engine_exception")
    assert _of(*conflict) == DELIVERED
    assert _of(*conflict, name="create", is_versioned=False) == DELIVERED
    assert isinstance(_of(*conflict, name="update", is_versioned=False), Retry)
    gone = {"status": 404, "result": "not_found"}
    assert outcome_of_document("delete", gone, is_versioned=True) == DELIVERED
    assert isinstance(_of(404, "index_not_found_exception", name="delete"), Retry)


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (429, "es_rejected_execution_exception", Fault.UNAVAILABLE),
        (429, "rejected_execution_exception", Fault.UNAVAILABLE),
        (429, "cluster_block_exception", Fault.UNAVAILABLE),
        (403, "cluster_block_exception", Fault.UNAVAILABLE),
        (503, "unavailable_shards_exception", Fault.UNAVAILABLE),
        (403, "security_exception", Fault.UNAUTHORISED),
        (404, "index_not_found_exception", Fault.FAILED),
        (400, "index_closed_exception", Fault.FAILED),
        (400, "validation_exception", Fault.UNAVAILABLE),
        (500, "ingest_processor_exception", Fault.FAILED),
    ],
)
def test_whose_fault_a_failure_is(status: int, kind: str, fault: Fault) -> None:
    """The reason names the kind."""
    outcome = _of(status, kind)
    assert isinstance(outcome, Retry)
    assert outcome.fault is fault
    assert kind in outcome.reason
    assert (outcome.kind is Failure.THROTTLED) == ("execution" in kind)


@pytest.mark.parametrize(
    ("kind", "reason", "told"),
    [
        (
            "document_parsing_exception",
            "[1:9] failed to parse field [total] of type [long] in document with id '1'. Preview: 'hidden'",
            "document_parsing_exception (400): the field total of type long",
        ),
        (
            "mapper_parsing_exception",
            "failed to parse field [total] of type [long] in document with id '1'. Preview: 'hidden'",
            "the field total of type long",
        ),
        (
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed",
            "has no field x",
        ),
        ("illegal_argument_exception", "Limit of total fields [1000] has been exceeded", "(400)"),
        ("What? hidden", "hidden", "refused: no reason (400)"),
    ],
)
def test_what_is_refused_is_told_without_values(kind: str, reason: str, told: str) -> None:
    """The server quotes documents, and we do not."""
    outcome = _of(400, kind, reason)
    assert isinstance(outcome, Rejected)
    assert told in outcome.reason
    assert "hidden" not in outcome.reason


def test_what_a_whole_answer_means() -> None:
    """Waits that are asked for are kept."""
    assert outcome_of_request(429, 7.0) == Retry(
        Fault.UNAVAILABLE, "the server answered 429: it has too much to do", 7.0, Failure.THROTTLED
    )
    faults = {401: Fault.UNAUTHORISED, 403: Fault.UNAUTHORISED, 404: Fault.UNAVAILABLE}
    faults |= {500: Fault.FAILED, 502: Fault.UNAVAILABLE, 503: Fault.UNAVAILABLE}
    for status, fault in faults.items():
        outcome = outcome_of_request(status, None)
        assert isinstance(outcome, Retry)
        assert outcome.fault is fault, status
    blocked = outcome_of_request(403, None, {"type": "cluster_block_exception"})
    assert isinstance(blocked, Retry)
    assert blocked.fault is Fault.UNAVAILABLE
    assert isinstance(outcome_of_request(413, None), Rejected)
    assert isinstance(outcome_of_request(400, None), Rejected)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hosts": ["host:9200"]}, "must be an address such as https://host:9200"),
        ({"hosts": ["http://user:hidden@host"]}, "must hold no user"),
        ({"index": "Shop"}, "must be in lower case"),
        ({"index": "_shop"}, "must not begin with"),
        ({"index": "shop-{colection}"}, "unknown name"),
        ({"index": "shop-%q", "operation": "create"}, "unknown date code %q"),
        ({"index": "shop-%Y"}, "would be in two indices"),
        ({"operation": "update", "version": "external_gte"}, "with operation: index alone"),
        ({"operation": "update", "pipeline": "p"}, "runs none over an update"),
        ({"username": "me"}, "belong together"),
        ({"username": "me", "password": "hidden", "api_key": "hidden"}, "only one of them"),
        ({"tls": {}}, "is for hosts that begin with https://"),
        ({"hosts": ["https://host"], "tls": {"key_file": "k"}}, "of no use without certificate_file"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], said: str) -> None:
    """With a sentence that says why, and without a secret."""
    with pytest.raises(ValidationError, match=said) as caught:
        ElasticsearchOptions.model_validate(USUAL | wrong)
    assert "hidden" not in repr(caught.value.errors(include_input=False))
