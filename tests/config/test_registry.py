"""Types are found by their entry points, imported on use, and a broken package is named when it is used."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from eventbus.assembly import try_to_make
from eventbus.config import json_schema, load
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from tests.config.fakes import REGISTRY, Feed, Topic

GOOD = """
from pydantic import BaseModel

class Options(BaseModel, extra="forbid"):
    path: str

class GoodSink:
    Options = Options

    def open(self): ...
    close = encode = send = apply = open

class Raising(GoodSink):
    def __init__(self, name, options):
        raise KeyError("redis://user:password@host/" + options.path)

class NoSink:
    Options = Options

    def open(self): ...

class NoOptions:
    pass
"""


ACME = {"good": "GoodSink", "bare": "NoOptions", "gone": "Gone", "raising": "Raising", "other": "NoSink"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two packages that an installer could have put there: one is sound, one cannot be imported."""
    _install(tmp_path, "acme", GOOD, {"eventbus.sinks": ACME})
    _install(
        tmp_path,
        "broken",
        "raise SystemExit('no licence')",
        {"eventbus.sinks": {"broken": "X", "good2": "X"}},
    )
    _install(
        tmp_path,
        "rival",
        GOOD,
        {"eventbus.sinks": {"good2": "GoodSink"}, "eventbus.stages": {"step": "GoodSink"}},
    )
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("acme", "broken", "rival"):
        monkeypatch.delitem(sys.modules, f"{module}_sinks", raising=False)
    return Registry.from_entry_points()


def _install(folder: Path, name: str, source: str, groups: dict[str, dict[str, str]]) -> None:
    (folder / f"{name}_sinks.py").write_text(source)
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    sections = [
        "\n".join([f"[{group}]", *(f"{entry} = {name}_sinks:{target}" for entry, target in entries.items())])
        for group, entries in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(sections) + "\n")


def test_nothing_is_imported_before_use(installed: Registry) -> None:
    assert {"good", "broken", "gone", "bare"} <= set(installed.sinks)
    assert "acme_sinks" not in sys.modules
    assert "broken_sinks" not in sys.modules

    assert set(installed.sink("good").Options.model_fields) == {"path"}

    assert "acme_sinks" in sys.modules
    assert "broken_sinks" not in sys.modules


def test_stages_are_found_too(installed: Registry) -> None:
    assert set(installed.stage("step").Options.model_fields) == {"path"}
    with pytest.raises(
        ConfigurationError, match=r"unknown stage type 'stp', did you mean 'step'\? \(known: "
    ):
        installed.stage("stp")


@pytest.mark.parametrize(
    ("type_name", "message"),
    [
        (
            "broken",
            "of package broken 1.2 cannot be imported from broken_sinks:X: SystemExit: no licence; ",
        ),
        ("gone", "of package acme 1.2 cannot be imported from acme_sinks:Gone: AttributeError: module"),
        ("bare", "of package acme 1.2: acme_sinks:NoOptions has no pydantic model named Options"),
        (
            "other",
            "of package acme 1.2: acme_sinks:NoSink is no class of sinks: it has no close, encode, send",
        ),
        ("good2", "is declared by more than one package: package broken 1.2, package rival 1.2"),
    ],
)
def test_what_is_wrong_with_a_package_is_said_when_it_is_used(
    installed: Registry, type_name: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        installed.sink(type_name)

    assert str(caught.value).startswith(f"sink type {type_name!r} {message}")


def test_what_raises_when_it_is_made_is_named_and_shows_no_secret(
    installed: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        """\
        mongodb: {uri: "mongodb://localhost"}
        sinks: {one: {type: raising, path: x}, two: {type: raising, path: y}}
        subscriptions: {orders: {source: {type: topic, topic: x}, routes: [one, two]}}
        """
    )
    config = load([file], Registry(sinks=installed.sinks, sources={"topic": Topic}), {})
    with pytest.raises(ConfigurationError) as caught:
        try_to_make(config)
    assert caught.value.problems == tuple(
        f"sinks.{name}: sink type 'raising' of package acme 1.2 cannot be made: "
        f"KeyError: 'redis://user:***@host/{path}'"
        for name, path in (("one", "x"), ("two", "y"))
    )


def test_unknown_types() -> None:
    with pytest.raises(ConfigurationError) as caught:
        REGISTRY.sink("fed")
    assert str(caught.value) == "unknown sink type 'fed', did you mean 'feed'? (known: feed, hook, rude)"

    with pytest.raises(ConfigurationError) as caught:
        Registry().source("zzz")
    assert str(caught.value) == "unknown source type 'zzz' (known: none)"


def test_plain_classes_will_do() -> None:
    assert REGISTRY.sink("feed").Options is Feed.Options
    assert REGISTRY.source("topic").Options is Topic.Options


def test_a_broken_package_is_a_problem_of_those_who_use_it(installed: Registry, tmp_path: Path) -> None:
    text = textwrap.dedent("""\
        mongodb: {uri: "mongodb://localhost"}
        sinks: {one: {type: good, path: x}, two: {type: broken}}
        subscriptions: {orders: {source: {type: topic, topic: x}, routes: [one]}}
        """)
    file = tmp_path / "c.yaml"
    file.write_text(text)
    registry = Registry(sinks=installed.sinks, sources={"topic": Topic})

    with pytest.raises(ConfigurationError) as caught:
        load([file], registry, {})
    (problem,) = caught.value.problems
    assert problem.startswith(
        f"{file}:2:49: sinks.two.type: sink type 'broken' of package broken 1.2 cannot be"
    )

    file.write_text(text.replace(", two: {type: broken}", ""))
    assert load([file], registry, {}).sinks.keys() == {"one"}


def test_the_schema_of_a_broken_package_allows_anything(installed: Registry) -> None:
    sinks = json_schema(installed)["properties"]["sinks"]["patternProperties"]
    (branches,) = [schema["oneOf"] for schema in sinks.values()]
    by_type = {branch["properties"]["type"]["const"]: branch for branch in branches}

    assert by_type["good"]["required"] == ["type", "path"]
    assert "no licence" in by_type["broken"]["description"]
    assert "additionalProperties" not in by_type["broken"]
