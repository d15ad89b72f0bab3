"""What users may write under ``source``, and what they are told when they may not."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from pydantic import ValidationError

from eventbus.model import ClusterTime
from eventbus.sdk import Reader, SnapshotMode, SnapshotSource, Source, SourceContext
from eventbus.sources.mongodb import MongoOptions, MongoSource
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.sources.mongodb.options import EXPANDED_OPERATIONS, OPERATIONS, SnapshotOptions
from eventbus.sources.mongodb.stream import stream_spec
from eventbus.sources.mongodb.tokens import high_water_mark
from tests.sources.watching import Document


def refused(**written: Any) -> str:
    """The path and the message of the one problem with these options."""
    with pytest.raises(ValidationError) as caught:
        MongoOptions(**written)
    (problem,) = caught.value.errors()
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def spec_of(own_database: str | None = None, **written: Any) -> Any:
    return stream_spec(MongoOptions(**written), "orders", own_database)


def test_is_a_source() -> None:
    """It has everything that the runtime asks of a source."""
    source: Source = MongoSource(MongoOptions(), SourceContext("orders", None, None))
    reader: Reader = source.reader(high_water_mark(ClusterTime(1, 1)))
    assert isinstance(source, SnapshotSource)
    assert callable(reader.next)


def test_registered() -> None:
    """The project declares the source under its type."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["eventbus.sources"]["mongodb"]
    assert EntryPoint("mongodb", declared, "eventbus.sources").load() is MongoSource


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"collections": ["orders"]}, "not the database"),
        ({"database": "shop", "collections": []}, "collections: .*is empty"),
        ({"snapshot": "always"}, "snapshot.mode: .*'never', 'initial' or 'when_needed'"),
        ({"snapshot": {"rate": 5000}}, "snapshot.rate: .*a rate above 0 with its unit"),
        ({"snapshot": {"chunk": 0}}, "snapshot.chunk: .*greater than or equal to 1"),
        ({"snapshot": {"chunk": 10_001}}, "snapshot.chunk: .*less than or equal to 10000"),
        ({"snapshot": {"parallel": 17}}, "snapshot.parallel: .*less than or equal to 16"),
        ({"snapshot": {"pause_on_lag": "0s"}}, "snapshot.pause_on_lag: .*greater than 0"),
        ({"database": "shop", "collections": ["a", "a"]}, "named twice"),
        ({"database": "shop", "collections": ["system.views"]}, "collections.0: .*MongoDB's own data"),
        ({"database": "shop", "collections": ["a$b"]}, "collections.0: .*not a name"),
        ({"database": "shop", "collections": [""]}, "collections.0: .*not a name"),
        ({"database": "admin"}, "database: .*MongoDB's own data"),
        ({"database": "a.b"}, "database: .*not a name"),
        ({"database": ""}, "database: .*not a name"),
        ({"database": "x" * 64}, "database: .*not a name"),
        ({"operations": ["insret"]}, "operations: .*did you mean 'insert'"),
        ({"operations": []}, "operations: .*is empty"),
        ({"operations": ["*", "insert"]}, "operations: .*leave out the others"),
        ({"match": {"a": {"$oid": "xyz"}}}, r"match: .*Extended JSON: \$oid"),
        ({"match": {"a": 2**70}}, "match: .*BSON cannot hold"),
        ({"match": 5}, "match: "),
        ({"pipeline": [{"$group": {"_id": 1}}]}, r"pipeline.0: .*\$group is not allowed in a change stream"),
        ({"pipeline": [{"$set": {"a": 1}}, {"$lookup": {}}]}, r"pipeline.1: .*\$lookup is not allowed"),
        ({"pipeline": [{"$changeStreamSplitLargeEvent": {}}]}, "pipeline.0: .*leave it out"),
        ({"pipeline": [{"$set": {}, "$unset": "a"}]}, "pipeline.0: .*one key"),
        ({"pipeline": [{}]}, "pipeline.0: .*one key"),
        ({"pipeline": [{"project": {}}]}, r"pipeline.0: .*did you mean '\$project'"),
        ({"pipeline": [{"$set": {"a": {"$date": "soon"}}}]}, r"pipeline.0: .*Extended JSON: \$date"),
        ({"fields": []}, "fields: .*at least 1"),
        ({"fields": ["a..b"]}, "fields.0: .*such as payment.status"),
        ({"fields": ["$a"]}, "fields.0: .*such as payment.status"),
        ({"fields": ["_id"]}, "fields.0: .*never changes"),
        ({"project": ["items.0.sku"]}, "project.0: .*place in an array"),
        ({"project": ["a"], "delta": True, "before": "required"}, "whole documents"),
        ({"classify": {}}, "classify: .*at least 1"),
        ({"classify": {"A": {"cases": [{"changed": "a", "then": 1}]}}}, "classify.A.*small letter"),
        ({"classify": {"document": {"cases": [{"changed": "a", "then": 1}]}}}, "document of its own"),
        ({"classify": {"a": {"cases": []}}}, "classify.a.cases: .*at least 1"),
        ({"classify": {"a": {"cases": [{"then": 1}]}}}, "classify.a.cases.0: .*needs when.* or changed"),
        ({"classify": {"a": {"cases": [{"changed": "a"}]}}}, "classify.a.cases.0.then: Field required"),
        ({"classify": {"a": {"cases": [{"changed": [], "then": 1}]}}}, "cases.0.changed: .*at least 1"),
        ({"classify": {"a": {"cases": [{"changed": "", "then": 1}]}}}, "cases.0.changed.0: .*payment.status"),
        ({"classify": {"a": {"cases": [{"when": {"a": 1}, "then": 1}]}}}, "cases.0.when: .*one operator"),
        (
            {"classify": {"a": {"cases": [{"when": {"$eq": [{"$oid": "x"}, 1]}, "then": 1}]}}},
            r"cases.0.when: .*Extended JSON: \$oid",
        ),
        ({"classify": {"a": {"cases": [{"changed": "a", "then": 2**70}]}}}, "cases.0.then: .*BSON cannot"),
        ({"full_document": "updateLookup"}, "full_document: .*'update_lookup'"),
        ({"delta": True}, "old values from before"),
        ({"lookup_missing": "skip"}, "full_document: update_lookup"),
        ({"operations": ["create", "insert"]}, "gives create only with expanded_events"),
        ({"before": "on"}, "before: .*'off', 'when_available'"),
        ({"colection": "a"}, "colection: Extra inputs"),
    ],
    ids=str,
)
def test_refused(written: Document, told: str) -> None:
    """Each mistake is told where it is and what is wrong."""
    assert re.search(told, refused(**written))


def test_defaults() -> None:
    """Nothing at all is the whole cluster, every operation, no filter, no images."""
    spec = spec_of()
    assert (spec.database, spec.target, spec.options) == ("admin", 1, {"allChangesForCluster": True})
    assert spec.stages(splits=False) == ()


def test_split_stage_is_last() -> None:
    """The stages keep their order, and the server splits what is left of an event at the end."""
    spec = spec_of(
        "own",
        operations=["insert"],
        match={"a": {"$oid": "5f" * 12}},
        fields=["a"],
        classify={"c": {"cases": [{"when": {"$eq": [1, 1]}, "then": "$d"}]}},
        project=["a"],
        pipeline=[{"$unset": "a"}, {"$set": {"b": 1}}],
    )
    scope, operations, match, fields, classify, *project, unset, set_, split = spec.stages(splits=True)
    assert "$expr" in fields["$match"]
    branch = {"case": {"$eq": [1, 1]}, "then": {"$literal": "$d"}}
    switch = {"branches": [branch], "default": {"$literal": None}}
    assert classify == {"$set": {"classified": {"c": {"$switch": switch}}}}
    assert [next(iter(stage)) for stage in project] == ["$set", "$project", "$set"]
    assert (scope, operations, match, unset, set_, split) == (
        {"$match": {"ns.db": {"$ne": "own"}}},
        {"$match": {"operationType": {"$in": ["insert"]}}},
        {"$match": {"a": ObjectId("5f" * 12)}},
        {"$unset": "a"},
        {"$set": {"b": 1}},
        {"$changeStreamSplitLargeEvent": {}},
    )
    assert [*spec.stages(splits=True, identity_only=True)[-2]] == ["$project"]


def test_expanded_events_and_operations() -> None:
    """All kinds come unless some are named; the usual ones may be named alone."""
    assert spec_of(expanded_events=True).options["showExpandedEvents"] is True
    assert spec_of(expanded_events=True).own_stages == ()
    assert spec_of(expanded_events=True, operations=[*OPERATIONS, *EXPANDED_OPERATIONS]).own_stages == ()
    (stage,) = spec_of(expanded_events=True, operations=OPERATIONS).own_stages
    assert stage == {"$match": {"operationType": {"$in": sorted(OPERATIONS)}}}


def test_what_is_the_daemons_own_is_left_out() -> None:
    """The heartbeat's collection, wherever it could come."""
    own = ("eventbus", "heartbeat")
    left_out = {"$match": {"$nor": [{"ns.db": "eventbus", "ns.coll": "heartbeat"}]}}
    for written, stages in (
        ({}, (left_out,)),
        ({"database": "eventbus"}, (left_out,)),
        ({"database": "shop"}, ()),
    ):
        assert stream_spec(MongoOptions(**written), "orders", None, own).own_stages == stages


@pytest.mark.parametrize("written", ["initial", {"mode": "initial"}])
def test_a_snapshot_in_short_and_in_full(written: Any) -> None:
    """The mode alone, or a mapping with more."""
    options = MongoOptions(snapshot=written)
    assert options.snapshot == SnapshotOptions(mode=SnapshotMode.INITIAL)
    policy = MongoSource(options, SourceContext("orders", None, None)).policy
    assert policy.snapshot is SnapshotMode.INITIAL


def test_no_snapshot_by_default() -> None:
    """Nobody gets what he did not ask for; every knob has its words."""
    assert (
        MongoSource(MongoOptions(), SourceContext("orders", None, None)).policy.snapshot is SnapshotMode.NEVER
    )
    written = {"mode": "when_needed", "rate": "300/min", "chunk": 5, "parallel": 2, "pause_on_lag": "2m"}
    assert MongoOptions(snapshot=written).snapshot == SnapshotOptions(**written)
    assert SnapshotOptions(**written).rate == 5.0
    assert SnapshotOptions(**written).pause_on_lag == 120.0


def test_modes() -> None:
    """Modes are told in the server's words."""
    spec = spec_of(database="shop", collections=["orders"], full_document="when_available", before="required")
    assert (spec.database, spec.target) == ("shop", "orders")
    assert spec.options == {"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "required"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"$oid": "5f" * 12}, ObjectId("5f" * 12)),
        ({"$numberLong": "5"}, Int64(5)),
        ({"$numberDecimal": "1.50"}, Decimal128("1.50")),
        ({"$timestamp": {"t": 1, "i": 2}}, Timestamp(1, 2)),
        (
            {"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"},
            Binary(bytes.fromhex("c8edabc3f7384ca3b68dab92a91478a3"), 4),
        ),
        ({"$minKey": 1}, MinKey()),
        ({"$regularExpression": {"pattern": "a", "options": "i"}}, Regex("a", "i")),
        ({"$gt": {"$numberInt": "5"}, "$lt": 9}, {"$gt": 5, "$lt": 9}),
        ({"$regex": "^a", "$options": "i", "$ne": "ab"}, {"$regex": "^a", "$options": "i", "$ne": "ab"}),
        ({"$in": [{"$oid": "5f" * 12}, 1]}, {"$in": [ObjectId("5f" * 12), 1]}),
        ({"$type": "string"}, {"$type": "string"}),
        (None, None),
    ],
    ids=str,
)
def test_extended_json(written: Any, meant: Any) -> None:
    """Values of Extended JSON become values; operators of MQL stay, even those that look alike."""
    assert bson.encode(bson_values({"a": written})) == bson.encode({"a": meant})


def test_date_in_its_forms() -> None:
    """A date may be written as text or as milliseconds, of which canonical Extended JSON has its own form."""
    texts = [{"$date": "1970-01-01T00:00:01Z"}, {"$date": {"$numberLong": "1000"}}, {"$date": 1000}]
    assert len({bson.encode(bson_values({"a": text})) for text in texts}) == 1
