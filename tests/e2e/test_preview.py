"""What `eventbus simulate` and `eventbus plan` say comes true: two real runs over the same changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo import MongoClient

from eventbus.cli import main
from eventbus.devservices import MongoService
from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import history, start_watching

pytestmark = pytest.mark.services

CHANGES = 600

RUNNING = {
    "source": {"operations": ["insert", "update", "delete"]},
    "pipeline": [{"filter": "document_key._id != 0"}],
    "routes": [
        {"name": "all", "sink": "lines"},
        {"name": "some", "sink": "nothing", "when": "operation != 'delete'"},
    ],
}
NEW = {
    "source": {"match": {"documentKey._id": {"$mod": [3, 0]}}},
    "pipeline": [{"filter": "document_key._id != 3"}, {"set": {"fields": {"checked": "true"}}}],
    "routes": [
        {"name": "all", "sink": "lines", "when": "operation != 'delete'"},
        {
            "name": "some",
            "sink": "nothing",
            "pipeline": [{"rename": {"tags": "revision"}}],
        },
    ],
}
"""Another filter in the server, in the pipeline and on a route; one cannot rename what has both names."""


@dataclass
class Run:
    """What a real run has done with the changes, by route."""

    bodies: Mapping[str, bytes]
    """By id of the event, as the route `all` wrote them."""
    parked: Mapping[str, set[str]]
    delivered: Mapping[str, int]
    filtered: Mapping[str, int]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where configurations, files and logs go."""
    return tmp_path_factory.mktemp("preview")


def config_of(
    uri: str, database: str, directory: Path, name: str, subscription: Mapping[str, Any], start: str
) -> dict[str, Any]:
    """A configuration of one of the versions, with a state of its own."""
    return {
        "mongodb": {"uri": uri},
        "state": {"type": "mongodb", "database": f"{database}_{name}"},
        "log": {"format": "json"},
        "sinks": {
            "lines": {"type": "file", "path": str(directory / f"{name}.jsonl")},
            "nothing": {"type": "discard"},
        },
        "subscriptions": {
            "orders": {
                **subscription,
                "source": {"database": database, "collections": ["orders"], **subscription["source"]},
                "routes": [{**route, "start": {"token": start}} for route in subscription["routes"]],
            }
        },
    }


def really_run(client: MongoClient[Any], config: dict[str, Any], directory: Path, last: str) -> Run:
    """Run the daemon until its positions are behind the last change."""
    database = client[config["state"]["database"]]
    directory.mkdir()
    with DaemonProcess(directory, config).start() as daemon:
        daemon.wait_for(lambda: _least_token(database) >= last, "positions behind the last change")
        metrics = daemon.get("/metrics")[1]
        assert daemon.terminate() == 0
    written = Path(config["sinks"]["lines"]["path"]).read_bytes().splitlines()
    parked: dict[str, set[str]] = {"all": set(), "some": set()}
    for letter in database["dead_letters"].find():
        parked[letter["route"]].add(letter["event_id"])
    return Run(
        {json.loads(line)["id"]: line for line in written},
        parked,
        *({route: _metric(metrics, name, route) for route in parked} for name in ("delivered", "filtered")),
    )


def _least_token(database: Any) -> str:
    document = database["subscriptions"].find_one({"_id": "orders"}) or {}
    tokens = [entry["token"] for entry in document.get("routes", {}).values()]
    return min(tokens) if len(tokens) == 2 else ""


def _metric(metrics: str, outcome: str, route: str) -> int:
    lines = [line for line in metrics.splitlines() if line.startswith("eventbus_events_settled_total{")]
    found = [line for line in lines if f'route="{route}"' in line and f'outcome="{outcome}"' in line]
    return int(sum(float(line.rpartition(" ")[2]) for line in found))


def asked(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The exit code, and the rows that a command prints."""
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["eventbus", *words, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capfd.readouterr()
    assert end.value.code in {0, 1}, captured.err
    return end.value.code, [json.loads(line) for line in captured.out.splitlines()]


def test_what_is_said_comes_true(
    mongo: MongoService,
    fresh_database: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Counts, bytes and differences are those of two real runs from the same start, to the last one."""
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        orders = client[fresh_database]["orders"]
        client[fresh_database].create_collection("orders")
        beginning = start_watching(orders)
        with Changes(orders, CHANGES) as changes:
            changes.wait()
        last = history(orders, beginning, CHANGES)[-1].token
        start = beginning["_data"]
        configs = {
            name: config_of(mongo.uri, fresh_database, directory, name, subscription, start)
            for name, subscription in (("new", NEW), ("running", RUNNING))
        }
        files = {name: str(directory / f"{name}.yaml") for name in configs}
        for name, config in configs.items():
            Path(files[name]).write_text(yaml.safe_dump(config))
        code, said = asked(
            capfd,
            monkeypatch,
            *("simulate", "-c", files["new"], "--running", files["running"], "--since", start),
            *("--samples", "2"),
        )
        assert code == 0
        assert [path.name for path in directory.glob("*.jsonl")] == [], "a sink was opened"
        assert client[f"{fresh_database}_new"].list_collection_names() == []
        _, planned = asked(
            capfd, monkeypatch, "plan", "-c", files["new"], "--running", files["running"], "--window", "1d"
        )
        try:
            runs = {
                name: really_run(client, config, directory / name, last) for name, config in configs.items()
            }
        finally:
            for name in configs:
                client.drop_database(f"{fresh_database}_{name}")
    new, running = runs["new"], runs["running"]
    rows = {row["route"]: row for row in said if row["route"] is not None}
    sinks = {row["sink"]: row for row in said if row["route"] is None}
    for route, row in rows.items():
        counted = (row["delivered"], row["filtered"], row["parked"])
        assert counted == (new.delivered[route], new.filtered[route], len(new.parked[route])), route
        assert all(counted) or route == "all"
    lines = list(new.bodies.values())
    assert {route: sorted(row["filtered_by"]) for route, row in rows.items()} == {
        "all": ["pipeline", "when"],
        "some": ["pipeline"],
    }
    assert rows["all"]["bytes"] == sinks["lines"]["bytes"] == sum(map(len, lines))
    assert rows["all"]["keys"] == len(
        {json.dumps(json.loads(line)["data"]["document_key"]) for line in lines}
    )
    assert rows["all"]["read"] < CHANGES
    assert list(rows["some"]["parked_because"]) == ["stage rename (1): tags: revision is there already"]
    taken = set(new.bodies), set(running.bodies)
    both = taken[0] & taken[1]
    difference = (
        len(taken[0] - taken[1]),
        len(taken[1] - taken[0]),
        sum(new.bodies[id_] != running.bodies[id_] for id_ in both),
    )
    assert all(difference)
    assert tuple(rows["all"][name] for name in ("newly", "no_longer", "altered")) == difference
    samples = rows["all"]["samples"]
    assert len(samples) == 2
    for sample in samples:
        assert sample["body"] == json.loads(new.bodies[sample["id"]])
    by_route = {row["route"]: row for row in planned}
    assert tuple(by_route["all"][name] for name in ("newly", "no_longer", "altered")) == difference
    assert by_route["some"]["matches"] == new.delivered["some"] + len(new.parked["some"])
