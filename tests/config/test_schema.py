"""What an editor is told agrees with what `load` accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.config import json_schema
from eventbus.registry import Registry
from tests.config.fakes import REGISTRY, SMALLEST, problems_of
from tests.config.schema_validator import Validator
from tests.config.test_values import FULL

SCHEMA = json_schema(REGISTRY)

WITH_VARIABLES = """
mongodb: {uri: "${URI}"}
state: {type: sqlite, path: "${file:path}"}
server: {host: "${HOST:-localhost}", port: "${PORT:-0}"}
log: {level: "${LEVEL:-info}"}
daemon: {lease: "${LEASE:-15}s"}
sinks:
  feed: {type: feed, path: "${P}", timeout: "${T:-1s}", limit: "${N:-3}", sync: "${S:-true}",
         ratio: "${R:-1}", mode: "${M:-append}", ports: ["${N:-3}"], buffer: "${B:-1}MiB"}
subscriptions:
  orders:
    source: {database: "${D:-x}"}
    routes: [{sink: feed, lanes: "${L:-1}", window: {size: "${W:-1B}"}}]
"""


def is_accepted(text: str) -> bool:
    return Validator(SCHEMA).accepts(yaml.safe_load(text))


@pytest.mark.parametrize("text", [SMALLEST, FULL, WITH_VARIABLES])
def test_what_loads_is_valid(tmp_path: Path, text: str) -> None:
    (tmp_path / "path").write_text("x")

    assert problems_of(text, tmp_path, {"URI": "mongodb://h", "P": "p"}) == []
    assert is_accepted(text)


@pytest.mark.parametrize(
    ("sound", "wrong"),
    [
        ("mongodb:\n  uri", "mongodb:\n  url"),
        ("mongodb:", "mongo:"),
        ("type: feed", "type: fed"),
        ("type: feed, ", ""),
        ("path: /tmp/feed", "pth: /tmp/feed"),
        ("path: /tmp/feed", "path: 5"),
        ("path: /tmp/feed", "path: p, timeout: 5"),
        ("path: /tmp/feed", "path: p, timeout: 5 s"),
        ("path: /tmp/feed", "path: p, limit: 0"),
        ("path: /tmp/feed", "path: p, mode: apend"),
        ("path: /tmp/feed", "path: p, sync: 5"),
        ("  feed:", "  fe.ed:"),
        ("  orders:", "  $orders:"),
        ("collections", "colections"),
        ("source: {", "source: {type: topic, "),
        ("source: {", "source: {type: mongdb, "),
        ("routes: [feed]", "routes: []"),
        ("routes: [feed]", "routes: [5]"),
        ("routes: [feed]", "routes: [{name: x}]"),
        ("routes: [feed]", "routes: [{sink: feed, retry: {atempts: 1}}]"),
        ("routes: [feed]", "rutes: [feed]"),
        ("sinks:", "server: {port: -1}\nsinks:"),
        ("sinks:", "log: {level: loud}\nsinks:"),
        ("sinks:", "state: {type: sqlite}\nsinks:"),
        ("sinks:", "state: {type: sqlit, path: x}\nsinks:"),
        ("sinks:", "state: {path: x}\nsinks:"),
        ("sinks:", "defaults: {window: {events: many}}\nsinks:"),
    ],
)
def test_what_does_not_load_for_its_shape_is_not_valid(tmp_path: Path, sound: str, wrong: str) -> None:
    text = SMALLEST.replace(sound, wrong)

    assert text != SMALLEST
    assert problems_of(text, tmp_path)
    assert not is_accepted(text)


def test_every_key_is_described() -> None:
    """Completion without an explanation helps nobody."""
    own = [name for name in SCHEMA["$defs"] if name.endswith(("Section", "Policy"))]
    undescribed = [
        f"{name}.{key}"
        for name in own
        for key, schema in SCHEMA["$defs"][name]["properties"].items()
        if "description" not in schema
    ]
    assert own
    assert undescribed == []
    assert [key for key, schema in SCHEMA["properties"].items() if "description" not in schema] == []


def test_options_of_types_bring_their_descriptions_and_defaults() -> None:
    (entry,) = SCHEMA["properties"]["sinks"]["patternProperties"].values()
    feed = next(branch for branch in entry["oneOf"] if branch["properties"]["type"] == {"const": "feed"})

    assert feed["properties"]["path"] == {"type": "string", "description": "Where to write."}
    assert feed["properties"]["timeout"]["description"] == "How long one attempt may take."
    assert feed["properties"]["timeout"]["default"] == "5s"
    assert feed["properties"]["buffer"]["default"] == "1MiB"
    assert "default" not in feed["properties"]["password"]


def test_defaults_are_written_as_users_write_them() -> None:
    definitions = SCHEMA["$defs"]

    assert definitions["RetryPolicy"]["properties"]["initial_delay"]["default"] == "100ms"
    assert definitions["WindowPolicy"]["properties"]["size"]["default"] == "64MiB"
    assert definitions["DaemonSection"]["properties"]["lease"]["default"] == "15s"


def test_it_is_json_of_the_named_draft() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_reference_leads_somewhere_and_no_definition_is_idle() -> None:
    references = set(_references(SCHEMA))

    assert references == {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


def test_without_any_type_there_is_still_a_schema() -> None:
    schema = json_schema(Registry())

    assert Validator(schema).accepts(yaml.safe_load(SMALLEST))


def _references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for item in part for found in _references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [found for value in part.values() for found in _references(value)]
