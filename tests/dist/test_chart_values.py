"""The chart's values and their schema, without Helm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from eventbus import __version__
from eventbus.config.models import DaemonSection
from eventbus.units import parse_duration
from tests.docs.pages import ROOT

CHART = ROOT / "helm/eventbus"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OF_PARENTS = {"global", "enabled"}
"""What charts that have this one as a part may set for it."""


def test_the_schema_has_every_value_and_no_other() -> None:
    """At each level that is the chart's own; below the others Kubernetes or the daemon decide."""
    for path, schema, value in _closed(SCHEMA, VALUES, ""):
        known = schema["properties"].keys() - (OF_PARENTS if path == "" else set())
        if path.startswith(".probes."):
            assert value.keys() <= known, path
        else:
            assert value.keys() == known, path


def _closed(schema: dict[str, Any], value: Any, path: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    if schema.get("additionalProperties") is False and isinstance(value, dict):
        yield path, schema, value
        for name, part in value.items():
            yield from _closed(schema["properties"][name], part, f"{path}.{name}")


def test_the_version_is_the_daemon_s() -> None:
    """`appVersion` is the image's tag."""
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_the_defaults_are_the_daemon_s() -> None:
    """What the chart computes with is what the daemon would do without it."""
    assert parse_duration(VALUES["config"]["daemon"]["drain_timeout"]) == DaemonSection().drain_timeout


def test_the_files_of_values_for_tests_stay_outside_of_the_package() -> None:
    """And each says what it shows."""
    assert "ci/" in (CHART / ".helmignore").read_text().split()
    for file in (CHART / "ci").iterdir():
        assert file.read_text().startswith("# "), file.name
