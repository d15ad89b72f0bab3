"""Every kind of mistake has its message, word for word, at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from eventbus.config import load
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from tests.config.fakes import REGISTRY, SMALLEST, problems_of, with_sink

GOLDEN: Final = Path(__file__).parent / "golden"
NO_SIZE: Final = "expected a size with its unit, such as 512B, 64KiB or 16MiB"
NO_TEXT: Final = "expected text, got a number (put it in quotes)"
OUTLIVES: Final = "which must be less than daemon.lease (15s)"
KEYS: Final = (
    "buffer, concurrency, delivery, keys, limit, mode, password, path, pin, ports, rate, ratio, servers, "
    "sync, timeout, type"
)
BAD_TAG: Final = "a YAML tag that does not fit here (quote a text that begins with !)"
BAD_NAME: Final = "a name begins with a letter and has only letters, digits, _ and -, at most 63"
SAME_NAME: Final = "the route at 9:14 has this name too, give one of them a 'name' of its own"


def test_all_mistakes_at_once_in_the_order_of_their_places() -> None:
    """golden/many_mistakes.txt is what a user sees for golden/many_mistakes.yaml."""
    with pytest.raises(ConfigurationError) as caught:
        load([GOLDEN / "many_mistakes.yaml"], REGISTRY, {})

    seen = [problem.removeprefix(f"{GOLDEN}/") for problem in caught.value.problems]
    assert seen == (GOLDEN / "many_mistakes.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("sink", "column", "message"),
    [
        ("", 8, ": expected a mapping, got nothing"),
        ("[1]", 9, ": expected a mapping, got a list"),
        ("{path: x}", 3, ": missing required key 'type' (known types: feed, hook, rude)"),
        ("{type: [feed]}", 16, ".type: expected the name of a type, got a list"),
        ("{type: 5}", 16, ".type: expected the name of a type, got a number"),
        ("{type: zzz}", 16, ".type: unknown type 'zzz' (known: feed, hook, rude)"),
        ("{type: feed, path: }", 27, ".path: expected text, got nothing"),
        ("{type: feed, path: 5}", 28, ".path: expected text, got a number (put it in quotes)"),
        ("{type: feed, path: true}", 28, ".path: expected text, got true or false (put it in quotes)"),
        ("{type: feed, path: {a: b}}", 22, ".path: expected text, got a mapping"),
        ("{type: feed, path: x, limit: a}", 38, ".limit: expected a whole number, got 'a'"),
        ("{type: feed, path: x, limit: 1.5}", 38, ".limit: expected a whole number, got 1.5"),
        ("{type: feed, path: x, limit: 0}", 38, ".limit: must be at least 1, got 0"),
        ("{type: feed, path: x, ratio: a}", 38, ".ratio: expected a number, got 'a'"),
        ("{type: feed, path: x, sync: 7}", 37, ".sync: expected true or false, got 7"),
        ("{type: feed, path: x, ports: [1, 2, 3, 4]}", 38, ".ports: must have at most 3 entries"),
        ("{type: feed, path: x, pin: 31337}", 36, ".pin: expected text, got a number"),
        ("{type: feed, path: x, keys: []}", 37, ".keys: must not be empty"),
        ("{type: feed, path: x, ports: 7}", 38, ".ports: expected a list, got 7"),
        ("{type: feed, path: x, ports: [1, b]}", 42, ".ports[1]: expected a whole number, got 'b'"),
        ("{type: feed, path: x, servers: {}}", 31, ".servers: expected text or a list, got a mapping"),
        ("{type: feed, path: x, servers: [a, {}]}", 44, ".servers[1]: expected text, got a mapping"),
        (
            "{type: feed, path: x, buffer: 5MB/s}",
            39,
            f".buffer: {NO_SIZE}, got '5MB/s'",
        ),
        (
            "{type: feed, path: x, password: 123}",
            41,
            ".password: expected text, got a number (put it in quotes)",
        ),
        (
            "{type: feed, path: x, zzz: 1}",
            31,
            f": unknown key 'zzz' (known: {KEYS})",
        ),
        (
            "{type: feed, path: x, timeout: 15s}",
            40,
            ".timeout: one attempt may take 15s, which must be less than daemon.lease (15s)",
        ),
        ("{type: hook, url: ftp}", 27, ".url: 'ftp' is no address of the web"),
        ("{type: hook, url: 'https://h', scheme: none}", 3, ": https://h wants signing"),
        ("{type: rude, key: x}", 3, ": the options cannot be checked: tests.config.fakes raises KeyError"),
        ("!Feed {}", 9, f": {BAD_TAG}"),
        ("{type: feed, path: !!int x}", 28, f".path: {BAD_TAG}"),
        ("{type: feed, path: !hunter2 }", 28, f".path: {BAD_TAG}"),
        ("{type: feed, path: x, ? [path] : x}", 33, ": a key must be text"),
        ("{type: feed, <<: 5, path: x}", 26, ": << takes a mapping or a list of mappings"),
    ],
)
def test_mistakes_of_a_sink(tmp_path: Path, sink: str, column: int, message: str) -> None:
    problems = problems_of(with_sink(sink), tmp_path)

    assert problems == [f"c.yaml:4:{column}: sinks.feed{message}"]


@pytest.mark.parametrize(
    ("routes", "column", "message"),
    [
        ("", 12, ": expected a list, got nothing"),
        ("[]", 13, ": must not be empty"),
        ("[[feed]]", 14, "[0]: expected the name of a sink or a mapping, got a list"),
        ("[{}]", 14, "[0]: missing required key 'sink'"),
        ("[{sink: 5}]", 21, "[0].sink: expected text, got a number (put it in quotes)"),
        ("[feed, feed]", 20, f"[1]: {SAME_NAME}"),
        ("[feed, {sink: feed, name: feed}]", 20, f"[1]: {SAME_NAME}"),
        ("[{sink: feed, name: a.b}]", 33, f"[0].name: {BAD_NAME}"),
        ("[{sink: feed, name: $a}]", 33, f"[0].name: {BAD_NAME}"),
        (
            "[{sink: feed, retry: {atempts: 1}}]",
            35,
            "[0].retry: unknown key 'atempts', did you mean 'attempts'?",
        ),
        (
            "[{sink: feed, retry: {max_delay: 50ms}}]",
            27,
            "[0].retry: initial_delay (0.1s) is longer than max_delay (0.05s)",
        ),
        (
            "[{sink: feed, circuit: {initial_open: 2m}}]",
            27,
            "[0].circuit: initial_open (120s) is longer than max_open (60s)",
        ),
    ],
)
def test_mistakes_of_routes(tmp_path: Path, routes: str, column: int, message: str) -> None:
    problems = problems_of(SMALLEST.replace("[feed]", routes), tmp_path)

    assert problems == [f"c.yaml:9:{column}: subscriptions.orders.routes{message}"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("state: 5", "10:8: state: expected a mapping, got 5"),
        ("state: {type: sqlite}", "10:1: state: missing required key 'path'"),
        ("state: {type: sqlite, pth: x}", "10:23: state: unknown key 'pth', did you mean 'path'?"),
        ("state: {database: 'a b'}", "10:19: state.database: a database name has 1 to 63 characters"),
        (
            "log: {levels: {eventbus.sorce: debug}}",
            "10:16: log.levels.\"eventbus.sorce\": no such logger, did you mean 'eventbus.source'?",
        ),
        ("server: {token: x}", "10:10: server: unknown key 'token', did you mean 'tokens'?"),
        ("server: {host: ''}", "10:16: server.host: must not be empty"),
        ("server: {port: true}", "10:16: server.port: expected a whole number, got true"),
        ("log:", "10:5: log: expected a mapping, got nothing"),
        ("defaults: {retry: {max_delay: 1ms}}", "10:12: defaults.retry: initial_delay (0.1s) is longer than"),
        ("defaults: {window: {size: 0B}}", "10:27: defaults.window.size: must be more than 0, got '0B'"),
        ("daemon: {lease: 5s}", "5:9: sinks.feed.timeout: one attempt may take 5s, which must be less than"),
    ],
)
def test_mistakes_of_sections(tmp_path: Path, section: str, problem: str) -> None:
    problems = problems_of(f"{SMALLEST}{section}\n", tmp_path)

    assert [line for line in problems if line.startswith(f"c.yaml:{problem}")], problems
    assert len(problems) == 1 or "sqlite, pth" in section


def test_a_list_is_not_called_empty_because_its_entries_are_wrong(tmp_path: Path) -> None:
    problems = problems_of(with_sink("{type: feed, path: x, keys: [a]}"), tmp_path)

    assert problems == ["c.yaml:4:38: sinks.feed.keys[0]: expected a whole number, got 'a'"]


def test_a_configuration_needs_its_sections(tmp_path: Path) -> None:
    needed = [f"c.yaml:1:1: missing required key '{key}'" for key in ("mongodb", "sinks", "subscriptions")]

    assert problems_of("", tmp_path) == needed
    assert problems_of("# nothing yet\n---\n", tmp_path) == needed
    assert problems_of("log: {}", tmp_path) == needed


def test_at_least_one_subscription(tmp_path: Path) -> None:
    text = "mongodb: {uri: 'mongodb://h'}\nsinks: {}\nsubscriptions: {}\n"

    assert problems_of(text, tmp_path) == ["c.yaml:3:1: subscriptions: must not be empty"]


def test_problems_of_a_broken_section_do_not_breed_others(tmp_path: Path) -> None:
    """Defaults that are wrong are reported once, and not again by each route that is laid over them."""
    text = SMALLEST.replace("[feed]", "[{sink: feed, retry: {initial_delay: 6s}}]")

    assert problems_of(f"{text}defaults: {{retry: {{attempts: x, max_delay: 1m}}}}\n", tmp_path) == [
        "c.yaml:10:30: defaults.retry.attempts: expected a whole number, got 'x'"
    ]


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (
            "ordering: none, on_dead_letter: hold_key",
            "on_dead_letter: does not go together with ordering: none, which keeps no order to hold a key in",
        ),
        (
            "ordering: strict, priority: {operations: [delete]}",
            "priority: does not go together with ordering: strict, which lets nothing go first",
        ),
        (
            "ordering: strict, lanes: 2",
            "lanes: does not go together with ordering: strict, which has one lane",
        ),
        (
            "delivery: exactly_once",
            "delivery: exactly_once needs transactions, which sinks of type feed have not",
        ),
    ],
)
def test_what_does_not_go_together_with_an_ordering(tmp_path: Path, route: str, message: str) -> None:
    (problem,) = problems_of(SMALLEST.replace("[feed]", f"[{{sink: feed, {route}}}]"), tmp_path)
    assert problem.endswith(f"subscriptions.orders.routes[0].{message}")


@pytest.mark.parametrize("priority", ["{}", "{operations: []}", "{operations: [], collections: []}"])
def test_a_priority_of_nothing_is_a_mistake(tmp_path: Path, priority: str) -> None:
    text = SMALLEST.replace("[feed]", f"[{{sink: feed, priority: {priority}}}]")
    (problem,) = problems_of(text, tmp_path)
    assert problem.endswith("routes[0].priority: name operations, or collections, or both")


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ("[hunter2]", "server.tokens[0]: expected a mapping, got text"),
        ("hunter2", "server.tokens: expected a list, got text"),
    ],
)
def test_what_stands_in_place_of_what_has_a_secret_is_not_shown(
    tokens: str, wanted: str, tmp_path: Path
) -> None:
    problems = problems_of(f"{SMALLEST}\nserver: {{tokens: {tokens}}}\n", tmp_path)

    assert [problem.partition(": ")[2] for problem in problems] == [wanted]


@pytest.mark.parametrize("option", ["headers", "signing", "basic", "oauth2"])
def test_nor_in_place_of_a_webhooks_secrets(option: str, tmp_path: Path) -> None:
    hook = f"{{type: webhook, url: 'https://h/', {option}: hunter2hunter2}}"
    path = tmp_path / "eventbus.yaml"
    path.write_text(f"sinks:\n  hook: {hook}\n")

    with pytest.raises(ConfigurationError) as caught:
        load([path], Registry.from_entry_points(), {})

    assert any(f"sinks.hook.{option}: " in problem for problem in caught.value.problems)
    assert "hunter2" not in str(caught.value)
