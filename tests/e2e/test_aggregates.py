"""Groups of the mode `aggregate` are what MongoDB computes over the collection, after SIGKILLs."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bson import Decimal128
from pymongo.database import Database

from eventbus.devservices import MongoService
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import client_of

pytestmark = [pytest.mark.services, pytest.mark.proof, pytest.mark.timeout(600)]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
CHANGES = 30_000 if FULL else 900
KILLS = 10 if FULL else 2
KEYS = 400
GROUPS = "totals"


def test_groups_equal_a_query_over_the_collection_after_kills(mongo: MongoService, tmp_path: Path) -> None:
    """Documents that were there before come by a snapshot; one route counts documents, another events."""
    name = f"agg{uuid.uuid4().hex[:8]}"
    seed = Random().randrange(10_000)
    print(f"seed {seed}")
    rng = Random(seed)
    with client_of(mongo.uri) as client:
        database = client[name]
        database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
        changed = _work(database, rng, CHANGES // 5)
        with DaemonProcess(tmp_path, _config(mongo.uri, name)) as daemon:
            daemon.start()
            changed = 0
            for _ in range(KILLS):
                changed += _work(database, rng, CHANGES // KILLS)
                daemon.kill()
                changed += _work(database, rng, CHANGES // KILLS // 10)
                daemon.start()
            reports = client[f"{name}_reports"]
            daemon.wait_for(lambda: _documents(reports) == _recomputed(database), "equal groups")
            daemon.wait_for(lambda: _events(reports) >= changed, f"end of the {changed} events")
            assert daemon.terminate() == 0
            assert daemon.events("event_parked") == []
        assert _documents(reports) == _recomputed(database)
        assert _events(reports) == changed
        print(f"{changed} changes, {KILLS} kills, {len(_documents(reports))} groups: equal")
        for one in (name, f"{name}_reports", f"{name}_state"):
            client.drop_database(one)


def _config(uri: str, name: str) -> dict[str, Any]:
    def groups(collection: str, **aggregate: Any) -> dict[str, Any]:
        where = {"database": f"{name}_reports", "collection": collection}
        return {"type": "mongodb", "uri": uri, "mode": "aggregate", **where, "aggregate": aggregate}

    by, count = {"status": "document.status"}, {"n": "count"}
    values = {
        "orders": "count",
        "revenue": {"sum": "document.total"},
        "paid": {"sum": "document.paid"},
        "mean": {"avg": "document.total"},
        "least": {"min": "document.total"},
        "most": {"max": "document.total"},
        "skus": {"add_to_set": "document.sku"},
    }
    return {
        "mongodb": {"uri": uri},
        "state": {"database": f"{name}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "e2e", "checkpoint_every": "300ms"},
        "sinks": {
            GROUPS: groups(GROUPS, by=by, values=values, where="document.total > 3"),
            "events": groups("events", of="events", by={}, values=count, where="operation != 'read'"),
        },
        "subscriptions": {
            "orders": {
                "source": {
                    "database": name,
                    "collections": ["orders"],
                    "full_document": "required",
                    "snapshot": "initial",
                },
                "routes": [GROUPS, "events"],
            }
        },
    }


def _work(database: Database[dict[str, Any]], rng: Random, count: int) -> int:
    """Insert, update, replace and delete at random; how many documents were changed."""
    changed = 0
    for _ in range(count):
        key = rng.randrange(KEYS)
        fields = {
            "status": rng.choice(["new", "paid", "sent"]),
            "total": rng.randrange(50),
            "paid": Decimal128(f"{rng.randrange(50)}.{rng.randrange(100):02}"),
            "sku": rng.choice("abcdef"),
            "at": time.time_ns(),
        }
        match rng.randrange(10):
            case 0 | 1:
                changed += database.orders.delete_one({"_id": key}).deleted_count
            case 2:
                answer = database.orders.replace_one({"_id": key}, fields, upsert=True)
                changed += 1 if answer.upserted_id is not None else answer.modified_count
            case _:
                some = dict(rng.sample(list(fields.items()), rng.randrange(1, 4)))
                answer = database.orders.update_one(
                    {"_id": key}, {"$set": {**some, "at": fields["at"]}}, upsert=True
                )
                changed += 1 if answer.upserted_id is not None else answer.modified_count
    return changed


def _documents(reports: Database[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return _by_id(list(reports[GROUPS].find({}, {"_eventbus": 0})))


def _events(reports: Database[dict[str, Any]]) -> int:
    found = reports["events"].find_one()
    return found["n"] if found is not None else 0


def _recomputed(database: Database[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    stages: list[dict[str, Any]] = [
        {"$match": {"total": {"$gt": 3}}},
        {
            "$group": {
                "_id": {"status": {"$ifNull": ["$status", None]}},
                "orders": {"$sum": 1},
                "revenue": {"$sum": "$total"},
                "paid": {"$sum": "$paid"},
                "mean": {"$avg": "$total"},
                "least": {"$min": "$total"},
                "most": {"$max": "$total"},
                "skus": {"$addToSet": "$sku"},
            }
        },
    ]
    return _by_id(list(database.orders.aggregate(stages)))


def _by_id(groups: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {group.pop("_id")["status"]: _plain(group) for group in groups}


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    """Sets in order; means by what can be told of a quotient; sums by value, whatever type they have."""
    plain: dict[str, Any] = {
        name: sorted(value) if isinstance(value, list) else value for name, value in group.items()
    }
    plain["mean"] = round(plain["mean"], 9)
    plain["paid"] = _exact(plain["paid"])
    return plain


def _exact(value: Any) -> Any:
    return value.to_decimal() if isinstance(value, Decimal128) else value
