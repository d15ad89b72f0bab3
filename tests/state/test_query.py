"""Queries are read, or refused with the place of the mistake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Code, Decimal128, Int64, MinKey, ObjectId, Timestamp
from bson.datetime_ms import DatetimeMS

from eventbus.errors import ConfigurationError
from eventbus.state.query import parse
from eventbus.state.query_tree import FIELDS, fields_of, selects

OID = ObjectId("65f000000000000000000001")
ROW: dict[str, Any] = {
    **dict.fromkeys(("id", "event_id", "subscription", "route", "operation", "database", "token"), "x"),
    "collection": "orders",
    "document_key": {
        "_id": OID,
        "tenant": {"name": "acme", "nothing": None},
        "n": Int64(7),
        "half": Decimal128("0.5"),
        "nan": float("nan"),
        "code": Code("acme"),
        "min": MinKey(),
    },
    "kind": "timeout",
    "reason": "no answer in 10 s",
    "attempts": 5,
    "size": 1234,
    "status": "parked",
    "created_at": DatetimeMS(1_700_000_000_123),
    "expires_at": None,
    "cluster_time": Timestamp(1_700_000_000, 7),
    "held_behind": None,
    "superseded_by": "newer",
    "legal_hold": False,
    "operation_id": None,
    "config": "c1",
    "errors": [
        {"at_ms": 1, "kind": "server", "reason": "HTTP 500"},
        {"at_ms": 2, "kind": "timeout", "reason": "?"},
    ],
}

MATCHING: list[dict[str, Any]] = [
    {},
    {"collection": "orders", "attempts": 5},
    {"attempts": {"$gt": 4, "$lte": 5.0}},
    {"attempts": {"$in": [1, 5]}},
    {"attempts": {"$nin": []}},
    {"attempts": {"$ne": 4}},
    {"attempts": {"$not": {"$gt": 5}}},
    {"$or": [{"kind": "network"}, {"kind": "timeout"}]},
    {"$nor": [{"kind": "network"}, {"kind": "server"}]},
    {"$and": [{"kind": {"$gte": "timeout"}}, {"kind": {"$lt": "timeoutz"}}]},
    {"reason": {"$regex": "NO ANSWER", "$options": "i"}},
    {"reason": {"$not": {"$regex": "refused"}}},
    {"created_at": {"$date": "2023-11-14T22:13:20.123Z"}},
    {"created_at": {"$lt": {"$date": "2023-11-14T23:13:20.124+01:00"}}},
    {"created_at": {"$gte": {"$date": {"$numberLong": "1700000000123"}}}},
    {"created_at": {"$gt": datetime(2023, 11, 14, tzinfo=UTC)}},
    {"cluster_time": {"$timestamp": {"t": 1_700_000_000, "i": 7}}},
    {"cluster_time": {"$lt": {"$timestamp": {"t": 1_700_000_000, "i": 8}}}},
    {"expires_at": None},
    {"expires_at": {"$exists": False}},
    {"held_behind": {"$in": ["a", None]}},
    {"superseded_by": {"$ne": None}},
    {"legal_hold": False},
    {"legal_hold": {"$lt": True}},
    {"document_key._id": {"$oid": str(OID)}},
    {"document_key._id": {"$ne": "65f000000000000000000001"}},
    {"document_key.tenant.name": "acme"},
    {"document_key.tenant.name": {"$exists": True}},
    {"document_key.tenant.nothing": None},
    {"document_key.tenant.nothing": {"$exists": True}},
    {"document_key.tenant.other": None},
    {"document_key.tenant.name.deeper": {"$exists": False}},
    {"document_key.n": {"$numberDecimal": "7.0"}},
    {"document_key.n": {"$lt": 7.5}},
    {"document_key.half": 0.5},
    {"document_key.nan": {"$not": {"$gte": 0}}},
    {"document_key.min": {"$not": {"$lt": 0}}},
    {"document_key.n": {"$not": {"$gt": "6"}}},
    {"errors.reason": "HTTP 500"},
    {"errors.kind": {"$in": ["timeout"]}},
    {"errors.reason": {"$exists": True}},
]
OTHERS: list[dict[str, Any]] = [
    {"collection": "orders", "attempts": 4},
    {"attempts": {"$gt": 4, "$lt": 5}},
    {"attempts": {"$in": []}},
    {"kind": {"$nin": ["timeout"]}},
    {"$nor": [{"kind": "network"}, {"kind": "timeout"}]},
    {"expires_at": {"$gt": {"$date": "1970-01-01T00:00:00Z"}}},
    {"superseded_by": None},
    {"errors.reason": {"$ne": "HTTP 500"}},
    {"errors.reason": "HTTP 5"},
    {"document_key.code": "acme"},
    {"document_key.code": {"$regex": "acme"}},
    {"document_key.n": "7"},
    {"document_key.n": True},
    {"document_key.tenant": {"$in": ["acme"]}},
]

REFUSED: list[tuple[Any, str]] = [
    ([], "match: a query is a document"),
    ({"reson": "x"}, "match.reson: no such field, did you mean 'reason'?"),
    ({"errors": "x"}, "match.errors: no such field"),
    ({"document_key": 1}, "match.document_key: no such field"),
    ({"document_key.": 1}, "match.document_key.: no such path"),
    ({"document_key.a.$b": 1}, "match.document_key.a.$b: no such path"),
    ({"$where": "1"}, "match.$where: not supported here"),
    ({"$orr": []}, "match.$orr: not supported here, did you mean '$or'?"),
    ({"$or": []}, "match.$or: a list with something in it"),
    ({"$or": {"a": 1}}, "match.$or: a list"),
    ({"$or": [{"kind": "x"}, {"reason": {"$gtt": "x"}}]}, "match.$or[1].reason.$gtt: no such operator, did"),
    ({"$and": [{"$or": [3]}]}, "match.$and[0].$or[0]: a query is a document"),
    ({"attempts": "5"}, "match.attempts: a number is expected"),
    ({"attempts": True}, "match.attempts: a number"),
    ({"attempts": {"$numberDouble": "NaN"}}, "match.attempts: a number"),
    ({"attempts": 2**63}, "match.attempts: a number"),
    ({"attempts": {"$in": [1, "x"]}}, "match.attempts.$in[1]: a number"),
    ({"attempts": {"$in": 1}}, "match.attempts.$in: a list is expected"),
    ({"attempts": {"$in": [1] * 10_001}}, "match.attempts.$in: a list holds at most"),
    ({"attempts": None}, "match.attempts: this field is never null"),
    ({"expires_at": {"$gt": None}}, "match.expires_at.$gt: null has no order"),
    ({"created_at": "2026-01-01"}, 'match.created_at: a time, such as {"$date"'),
    ({"created_at": {"$date": "soon"}}, "match.created_at: a time"),
    ({"cluster_time": {"$date": "2026-01-01T00:00:00Z"}}, "match.cluster_time: a cluster time"),
    ({"legal_hold": 1}, "match.legal_hold: true or false"),
    ({"reason": 1}, "match.reason: a text"),
    ({"reason": "\ud800"}, "match.reason: a text"),
    ({"reason": {"x": 1}}, "match.reason.x: no such operator"),
    ({"reason": {"$regex": "("}}, "match.reason.$regex: at character 1: a group is not closed"),
    ({"reason": {"$regex": 1}}, "match.reason.$regex: a pattern"),
    ({"reason": {"$options": "i"}}, "match.reason.$options: there is no $regex"),
    ({"reason": {"$not": "x"}}, "match.reason.$not: operators are expected"),
    ({"reason": {"$exists": 1}}, "match.reason.$exists: true or false"),
    ({"document_key._id": [1]}, "match.document_key._id: a text, a number"),
    ({"document_key._id": {"$oid": "xyz"}}, "match.document_key._id: a text, a number"),
    ({"document_key.a": {"$regularExpression": {"pattern": "a", "options": ""}}}, "match.document_key.a: a"),
]  # fmt: skip


@pytest.mark.parametrize("match", MATCHING, ids=str)
def test_what_selects_a_row(match: dict[str, Any]) -> None:
    assert selects(parse(match), ROW)


@pytest.mark.parametrize("match", OTHERS, ids=str)
def test_what_does_not(match: dict[str, Any]) -> None:
    assert not selects(parse(match), ROW)


@pytest.mark.parametrize(("match", "why"), REFUSED, ids=[why[:60] for _, why in REFUSED])
def test_a_mistake_is_named_with_its_place(match: Any, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(match)
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("nest", [lambda part: {"$or": [part]}, lambda part: {"$nor": [part]}])
def test_a_query_is_not_nested_without_end(nest: Any) -> None:
    query: dict[str, Any] = {"kind": "x"}
    for _ in range(30):
        query = nest(query)
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        parse(query)


def test_a_condition_is_not_nested_without_end() -> None:
    condition: dict[str, Any] = {"$eq": "x"}
    for _ in range(30):
        condition = {"$not": condition}
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        parse({"kind": condition})


def test_a_query_tells_what_it_looks_at() -> None:
    query = {
        "$or": [{"document_key.a.b": 1}, {"$nor": [{"errors.kind": "x"}]}],
        "kind": {"$not": {"$eq": "x"}},
    }
    assert fields_of(parse(query)) == {"document_key", "errors", "kind"}
    assert fields_of(parse({})) == frozenset()


def test_every_field_is_in_the_row_of_these_tests() -> None:
    assert {name.partition(".")[0] for name in FIELDS} | {"document_key"} == set(ROW)
