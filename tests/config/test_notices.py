"""The section of notices: a sink that takes them, and kinds that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.config import load
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

REGISTRY = Registry.from_entry_points()
BASE = """
mongodb: {uri: "mongodb://localhost/?replicaSet=rs0"}
sinks:
  out: {type: stdout}
  cache: {type: redis, url: "redis://localhost", mode: set, key: "a:{document_key._id}"}
  mirror: {type: mongodb, uri: "mongodb://localhost/", database: a, collection: b, mode: replace}
subscriptions: {orders: {source: {database: shop}, routes: [out]}}
"""
PASSES_OVER = "takes no notices: it keeps documents, and passes over what the daemon itself says"


def _problems(folder: Path, notices: str) -> list[str]:
    path = folder / "eventbus.yaml"
    path.write_text(BASE + f"notices: {notices}\n")
    try:
        load([path], REGISTRY, {})
    except ConfigurationError as error:
        return [problem.removeprefix(f"{folder}/eventbus.yaml:") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("notices", "problem"),
    [
        ("{sink: outt}", "8:17: notices.sink: sink 'outt' is not declared, did you mean 'out'?"),
        ("{sink: cache}", f"8:17: notices.sink: cache {PASSES_OVER}"),
        ("{sink: mirror}", f"8:17: notices.sink: mirror {PASSES_OVER}"),
        ("{}", "8:1: notices: missing required key 'sink'"),
        ("{sink: out, kinds: []}", "8:29: notices.kinds: must not be empty"),
        ("{sink: out, kinds: [circuit_open]}", "did you mean 'circuit_opened'?"),
        ("{sink: out, max_queued: 0}", "8:34: notices.max_queued: must be at least 1, got 0"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, notices: str, problem: str) -> None:
    """A sink that would swallow every notice is refused, not found out in an outage."""
    (said,) = _problems(tmp_path, notices)
    assert problem in said


@pytest.mark.parametrize(
    "notices", ["{sink: out}", "{sink: out, kinds: [circuit_opened, gap_recorded], min_interval: 0s}"]
)
def test_what_is_right(tmp_path: Path, notices: str) -> None:
    """Any sink that takes what is no change of a document."""
    assert _problems(tmp_path, notices) == []


def test_without_the_section_nothing_is_told(tmp_path: Path) -> None:
    """Nobody is told by default."""
    path = tmp_path / "eventbus.yaml"
    path.write_text(BASE)
    assert load([path], REGISTRY, {}).notices is None
