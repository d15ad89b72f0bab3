"""What a changed file means for what runs: decided from two configurations, without any server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.config import Config, load
from eventbus.registry import Registry
from eventbus.reloading.comparing import Difference, difference
from tests.docs.pages import ROOT

BASE: dict[str, Any] = {
    "mongodb": {"uri": "mongodb://localhost/?replicaSet=rs0"},
    "defaults": {"retry": {"attempts": 4}},
    "sinks": {
        "hook": {"type": "webhook", "url": "http://localhost/", "headers": {"X-Token": "${file:token}"}},
        "out": {"type": "stdout"},
        "letters": {"type": "discard"},
        "unused": {"type": "discard"},
        "told": {"type": "file", "path": "told.jsonl"},
    },
    "notices": {"sink": "told"},
    "subscriptions": {
        "orders": {
            "source": {"database": "shop", "collections": ["orders"]},
            "pipeline": [{"filter": "document.total > 0"}],
            "routes": ["out", {"sink": "hook", "when": "operation == 'insert'", "retry": {"attempts": 2}}],
        },
        "users": {
            "source": {"database": "shop", "collections": ["users"]},
            "routes": [{"sink": "out", "dead_letters": {"sink": "letters"}}],
        },
        "bare": {"source": {"database": "shop"}, "routes": [{"sink": "out", "retry": {"attempts": 9}}]},
    },
}

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def before(tmp_path: Path) -> Config:
    """The configuration in force."""
    (tmp_path / "token").write_text("one")
    return _loaded(tmp_path, BASE)


def _loaded(directory: Path, content: dict[str, Any]) -> Config:
    path = directory / "eventbus.yaml"
    path.write_text(yaml.safe_dump(content))
    return load([path], Registry.from_entry_points())


def _difference(before: Config, directory: Path, edit: Edit) -> Difference:
    content = copy.deepcopy(BASE)
    edit(content)
    return difference(before, _loaded(directory, content))


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (lambda c: c["subscriptions"]["orders"].update(pipeline=[]), ["orders"]),
        (
            lambda c: c["subscriptions"]["orders"]["pipeline"][0].update(filter="document.total > 1"),
            ["orders"],
        ),
        (
            lambda c: c["subscriptions"]["orders"]["routes"][1].update(when="operation == 'delete'"),
            ["orders"],
        ),
        (lambda c: c["subscriptions"]["users"]["source"].update(collections=["people"]), ["users"]),
        (lambda c: c["defaults"]["retry"].update(attempts=5), ["orders", "users"]),
        (lambda c: c["defaults"].update(window={"events": 7}), ["orders", "users", "bare"]),
        (lambda c: c["sinks"]["hook"].update(url="http://localhost/new"), ["orders"]),
        (lambda c: c["sinks"]["letters"].update(rate="5/s"), ["users"]),
        (lambda c: c["sinks"]["out"].update(concurrency=3), ["orders", "users", "bare"]),
        (lambda c: c["sinks"]["unused"].update(rate="5/s"), []),
    ],
)
def test_changed_is_what_is_made_from_something_else(
    before: Config, tmp_path: Path, edit: Edit, changed: list[str]
) -> None:
    """Its own section, the defaults that bind it, and the sinks of its routes and of their dead letters."""
    found = _difference(before, tmp_path, edit)
    assert sorted(found.changed) == sorted(changed)
    assert (found.added, found.removed, found.fixed) == ([], [], [])


def test_a_secret_in_a_file_changes_who_uses_it(before: Config, tmp_path: Path) -> None:
    """Though nothing of the configuration's own text is another."""
    (tmp_path / "token").write_text("two")
    found = _difference(before, tmp_path, lambda content: None)
    assert (found.changed, found.new_sinks, found.old_sinks) == (["orders"], {"hook"}, {"hook"})


def test_a_variable_of_another_type_is_another_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MongoDB compares 1 and true otherwise than Python does; the text, and so the version, is the same."""
    content = copy.deepcopy(BASE)
    content["sinks"]["hook"].pop("headers")
    content["subscriptions"]["orders"]["source"]["match"] = {"document.active": "${ACTIVE}"}
    found = []
    for value in ("1", "true", "1.0", "1"):
        monkeypatch.setenv("ACTIVE", value)
        found.append(_loaded(tmp_path, content))
    assert [difference(found[0], other).changed for other in found] == [[], ["orders"], ["orders"], []]


def test_added_and_removed(before: Config, tmp_path: Path) -> None:
    """Subscriptions and sinks; whoever shares a sink with them is not touched."""

    def edit(content: dict[str, Any]) -> None:
        content["subscriptions"]["more"] = content["subscriptions"].pop("users")
        content["subscriptions"]["more"]["routes"] = ["out", "new"]
        content["sinks"]["new"] = content["sinks"].pop("letters")

    found = _difference(before, tmp_path, edit)
    assert (found.added, found.removed, found.changed) == (["more"], ["users"], [])
    assert (found.new_sinks, found.old_sinks) == ({"new"}, {"letters"})


def test_a_sink_that_is_made_otherwise_for_an_added_route_is_changed(before: Config, tmp_path: Path) -> None:
    """One with `for_each` answers for parts of events: all routes of that sink get another one."""

    def edit(content: dict[str, Any]) -> None:
        route = {"sink": "hook", "for_each": "document.items"}
        content["subscriptions"]["more"] = {"source": {"database": "shop"}, "routes": [route]}

    found = _difference(before, tmp_path, edit)
    assert (found.added, found.changed, found.new_sinks) == (["more"], ["orders"], {"hook"})


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["notices"].update(kinds=["gap_recorded"]),
        lambda c: c["notices"].update(sink="unused"),
        lambda c: c.pop("notices"),
        lambda c: c["sinks"]["told"].update(path="other.jsonl"),
    ],
    ids=["kinds", "sink", "none", "the sink itself"],
)
def test_notices_are_told_otherwise(before: Config, tmp_path: Path, edit: Edit) -> None:
    """That is no reason to begin a subscription anew, nor to refuse."""
    found = _difference(before, tmp_path, edit)
    assert found.notices
    assert not found.is_empty
    assert (found.added, found.removed, found.changed, found.fixed) == ([], [], [], [])


@pytest.mark.parametrize(
    ("edit", "keys"),
    [
        (lambda c: c["mongodb"].update(uri="mongodb://other/?replicaSet=rs0"), ["mongodb.uri", "state.uri"]),
        (lambda c: c["mongodb"].update(username="u", password="p"), ["mongodb.username", "mongodb.password"]),
        (lambda c: c["mongodb"].update(read_preference="nearest"), ["mongodb.read_preference"]),
        (lambda c: c["mongodb"].update(heartbeat={}), ["mongodb.heartbeat"]),
        (lambda c: c.update(state={"database": "elsewhere"}), ["state.database"]),
        (lambda c: c.update(state={"type": "sqlite", "path": "x.db"}), ["state"]),
        (lambda c: c.update(server={"port": 1, "host": "::1"}), ["server.host", "server.port"]),
        (lambda c: c.update(log={"level": "debug"}), ["log.level"]),
        (lambda c: c.update(daemon={"instance": "x", "lease": "20s"}), ["daemon.instance", "daemon.lease"]),
        (lambda c: c.update(dead_letters={"max_letters": 5}), ["dead_letters.max_letters"]),
    ],
)
def test_what_only_a_restart_changes_is_named(
    before: Config, tmp_path: Path, edit: Edit, keys: list[str]
) -> None:
    """By the keys that users write."""
    found = _difference(before, tmp_path, edit)
    assert [key for key in found.fixed if key in keys] == keys
    assert set(found.fixed) <= {*keys, "state.username", "state.password"}


@pytest.mark.parametrize("name", ["demo.yaml", "etl.yaml", "example.yaml", "minimal.yaml", "shop.yaml"])
def test_nothing_differs_from_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever objects options are made of: a reload without a change must restart nothing."""
    text = (ROOT / "config" / name).read_text()
    for part in text.split("${")[1:]:
        variable = part.partition("}")[0]
        if variable.isidentifier():
            monkeypatch.setenv(variable, "mongodb://localhost/?replicaSet=rs0")
    one, other = (load([ROOT / "config" / name], Registry.from_entry_points()) for _ in range(2))
    assert difference(one, other).is_empty
