"""A sound configuration becomes values in which nothing is left to guess."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from eventbus.config import MongoDBState, SQLiteState
from eventbus.config.models import CircuitPolicy, RetryPolicy, WindowPolicy
from eventbus.config.starts import checked_start, start_time
from tests.config.fakes import REGISTRY, SMALLEST, Changes, Feed, FeedOptions, Topic, load_text, problems_of

FEED: object = Feed
CHANGES: object = Changes
TOPIC: object = Topic

FULL = """
mongodb: {uri: "mongodb://localhost/?replicaSet=rs0"}
state: {type: mongodb, database: bus, uri: "mongodb://elsewhere"}
server: {host: 0.0.0.0, port: 0, allow_unauthenticated: true}
log: {level: debug, format: console}
daemon: {instance: one, lease: 30s, checkpoint_every: 500ms, drain_timeout: 1m,
  headroom_warning: 2h, stuck_after: 2m, watch_config: true}
defaults:
  retry: {attempts: 7}
  window: {size: 1MiB}
  dead_letters: {retention: 30d}
sinks:
  feed: {type: feed, path: a, timeout: 2s, buffer: 64KiB, limit: 3, ratio: 1, servers: [a, b], sync: true,
         rate: 50/s, concurrency: 2}
subscriptions:
  orders:
    service: shop
    source: {type: topic, topic: orders}
    start: {timestamp: "2026-01-31T12:00Z"}
    routes:
      - feed
      - {sink: feed, name: urgent, priority: {operations: [delete], collections: [orders]}}
      - sink: feed
        name: slow
        retry: {max_delay: 1m, max_age: 1h}
        window: {events: 10}
        circuit: {failures: 1}
        dead_letters: {retention: never}
        on_dead_letter: hold_key
        batch: {events: 100, size: 64KiB, wait: 250ms}
        ordering: strict
        rate: 90/min
        concurrency: 3
        lanes: 1
        start: {token: 82ABCDEF0000000001}
"""


def test_the_smallest_configuration_has_all_defaults(tmp_path: Path) -> None:
    config = load_text(SMALLEST, tmp_path)

    assert config.mongodb.uri.get_secret_value() == "mongodb://localhost:27017/?replicaSet=rs0"
    assert config.state == MongoDBState(config.mongodb, "eventbus")
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8686)
    assert (config.log.level, config.log.format) == ("info", "auto")
    assert config.daemon.instance == socket.gethostname()
    assert (config.daemon.lease, config.daemon.checkpoint_every, config.daemon.drain_timeout) == (15, 1, 25)
    assert (config.sinks["feed"].type, config.sinks["feed"].cls) == ("feed", FEED)
    assert config.sinks["feed"].options == FeedOptions(path="/tmp/feed")
    orders = config.subscriptions["orders"]
    assert (orders.name, orders.service, orders.source.cls) == ("orders", "orders", CHANGES)
    assert orders.source.options == Changes.Options(database="shop", collections=("orders",))
    (route,) = orders.routes
    assert (route.name, route.sink, route.lanes) == ("feed", "feed", None)
    assert (route.retry.attempts, route.retry.initial_delay, route.retry.max_delay) == (5, 0.1, 5)
    assert (route.window.events, route.window.size) == (4096, 64 << 20)
    assert (route.circuit.failures, route.circuit.initial_open, route.circuit.max_open) == (5, 1, 60)


def test_every_key_arrives(tmp_path: Path) -> None:
    config = load_text(FULL, tmp_path)

    assert isinstance(config.state, MongoDBState)
    assert (config.state.access.uri.get_secret_value(), config.state.database) == (
        "mongodb://elsewhere",
        "bus",
    )
    assert (config.server.host, config.server.port) == ("0.0.0.0", 0)
    assert (config.log.level, config.log.format) == ("debug", "console")
    assert config.daemon.model_dump() == {
        "instance": "one",
        "lease": 30,
        "checkpoint_every": 0.5,
        "drain_timeout": 60,
        "headroom_warning": 7200,
        "stuck_after": 120,
        "watch_config": True,
    }
    assert config.sinks["feed"].options == FeedOptions.model_validate(
        {"path": "a", "timeout": "2s", "buffer": "64KiB", "limit": 3, "ratio": 1.0}
        | {"servers": ["a", "b"], "sync": True}
    )
    assert (config.sinks["feed"].rate, config.sinks["feed"].concurrency) == (50, 2)
    orders = config.subscriptions["orders"]
    assert (orders.service, orders.source.type, orders.source.cls) == ("shop", "topic", TOPIC)


def test_a_route_is_laid_over_the_defaults_key_by_key(tmp_path: Path) -> None:
    plain, urgent, slow = load_text(FULL, tmp_path).subscriptions["orders"].routes

    assert (plain.name, slow.name, slow.lanes) == ("feed", "slow", 1)
    assert plain.retry == RetryPolicy(attempts=7)
    assert slow.retry == RetryPolicy.model_validate({"attempts": 7, "max_delay": "1m", "max_age": "1h"})
    assert plain.window == WindowPolicy.model_validate({"size": "1MiB"})
    assert slow.window == WindowPolicy.model_validate({"size": "1MiB", "events": 10})
    assert slow.circuit == CircuitPolicy(failures=1)
    assert (slow.batch.events, slow.batch.size, slow.batch.wait) == (100, 64 << 10, 0.25)
    assert (plain.batch.events, plain.batch.size, plain.batch.wait) == (None, None, 0.0)
    assert (plain.start, slow.start) == ("2026-01-31T12:00Z", "82ABCDEF0000000001")
    assert urgent.priority is not None
    assert (urgent.priority.operations, urgent.priority.collections) == (["delete"], ["orders"])
    assert plain.priority is None
    assert (plain.ordering, slow.ordering) == ("key", "strict")
    assert (plain.rate, plain.concurrency, slow.rate, slow.concurrency) == (None, None, 1.5, 3)
    assert (plain.holds_keys, slow.holds_keys) == (False, True)
    assert (plain.dead_letters.retention, slow.dead_letters.retention) == (30 * 86400, None)


def test_state_in_a_file(tmp_path: Path) -> None:
    config = load_text(f"{SMALLEST}\nstate: {{type: sqlite, path: /var/lib/state.db}}", tmp_path)

    assert config.state == SQLiteState(Path("/var/lib/state.db"))


def test_a_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = load_text(SMALLEST, tmp_path)

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.server = config.server  # type: ignore[misc]  # that is the point
    with pytest.raises(TypeError):
        config.sinks["other"] = config.sinks["feed"]  # type: ignore[index]  # that is the point


@pytest.mark.parametrize("written", ["no", "on", "off", "yes", "1:30", "2026-01-01", "0o9", "1_000"])
def test_words_that_older_yaml_converts_stay_text(tmp_path: Path, written: str) -> None:
    config = load_text(SMALLEST.replace("/tmp/feed", written), tmp_path)

    assert config.sinks["feed"].options == FeedOptions(path=written)


def test_untyped_values_are_read_as_yaml_1_2_does(tmp_path: Path) -> None:
    match = '{a: 1, b: "1", c: 1.5, d: 1e3, e: true, f: null, g: ~, h: no, i: 0x10, j: 0o17, k: 010, '
    match += "l: [-2, .inf]}"
    config = load_text(SMALLEST.replace("collections: [orders]", f"match: {match}"), tmp_path)

    options = config.subscriptions["orders"].source.options
    assert isinstance(options, Changes.Options)
    assert options.match == {
        "a": 1,
        "b": "1",
        "c": 1.5,
        "d": 1000.0,
        "e": True,
        "f": None,
        "g": None,
        "h": "no",
        "i": 16,
        "j": 15,
        "k": 10,
        "l": [-2, float("inf")],
    }


def test_keys_are_always_text(tmp_path: Path) -> None:
    match = '{on: 1, 1: 2, null: 3, "": 4, "${X}": 5}'
    config = load_text(SMALLEST.replace("collections: [orders]", f"match: {match}"), tmp_path)

    options = config.subscriptions["orders"].source.options
    assert isinstance(options, Changes.Options)
    assert options.match == {"on": 1, "1": 2, "null": 3, "": 4, "${X}": 5}


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    config = load_text(
        """
        mongodb: {uri: "mongodb://localhost"}
        sinks:
          one: &base {type: feed, path: one, limit: 3}
          two: {<<: *base, path: two}
          three: {path: three, <<: [*base, {limit: 4, sync: true}]}
        subscriptions: {orders: {source: {}, routes: [one, two, three]}}
        """,
        tmp_path,
    )

    assert config.sinks["two"].options == FeedOptions(path="two", limit=3)
    assert config.sinks["three"].options == FeedOptions(path="three", limit=3, sync=True)


def test_no_secret_in_the_text_of_a_configuration(tmp_path: Path) -> None:
    text = """
        mongodb: {uri: "mongodb://user:hunter2@localhost"}
        state: {uri: "mongodb://user:hunter2@elsewhere"}
        sinks:
          feed: {type: feed, path: "${FEED}", password: hunter2}
          hook: {type: hook, url: "https://user:hunter2@host/"}
        subscriptions:
          orders: {source: {match: {token: "${TOKEN}", also: hunter2}}, routes: [feed, hook]}
        """
    config = load_text(text, tmp_path, {"FEED": "hunter2", "TOKEN": "hunter2"})

    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)
    assert "orders" in repr(config)


def test_the_fakes_are_sound(tmp_path: Path) -> None:
    assert problems_of(SMALLEST, tmp_path) == []
    assert set(REGISTRY.sinks) == {"feed", "hook", "rude"}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("now", None),
        ("oldest", None),
        ("subscription", None),
        ("8267A1B2C30000000100", None),
        ("2026-01-31T12:00:00Z", 1769860800),
        ("2026-01-31T12:00:00", 1769860800),
        ("2026-01-31T13:00:00+01:00", 1769860800),
    ],
)
def test_a_start_is_a_word_a_time_or_a_token(written: str, seconds: int | None) -> None:
    """A time without a zone is UTC."""
    assert checked_start(written) == written
    assert start_time(written) == seconds


@pytest.mark.parametrize("written", ["", "later", "-2h", "82", "1769860800", "2026-13-01T00:00:00Z"])
def test_a_start_that_is_none_says_what_is_expected(written: str) -> None:
    """With what was given."""
    with pytest.raises(ValueError, match="expected now, oldest, subscription, a time"):
        checked_start(written)


@pytest.mark.parametrize(
    ("place", "start", "problem"),
    [
        ("subscription", "subscription", "expected now, oldest, a time"),
        ("subscription", "noon", "expected now, oldest, a time"),
        ("route", "noon", "expected now, oldest, subscription, a time"),
        ("route", "{time: noon}", "expected {timestamp: 2026-01-31T12:00Z} or {token: 82…}"),
        ("route", "{timestamp: now}", "expected {timestamp:"),
        ("route", '{timestamp: "2026-01-31", token: 82ABCDEF0000000001}', "expected {timestamp:"),
        ("route", '{token: "2026-01-31"}', "expected {timestamp:"),
        ("route", "{timestamp: 5}", "expected {timestamp:"),
    ],
)
def test_a_start_in_the_wrong_place_or_shape(tmp_path: Path, place: str, start: str, problem: str) -> None:
    routes = "routes: [feed]"
    written = f"start: {start}\n    {routes}" if place == "subscription" else None
    text = SMALLEST.replace(routes, written or f"routes: [{{sink: feed, start: {start}}}]")
    (found,) = problems_of(text, tmp_path)
    assert problem in found
