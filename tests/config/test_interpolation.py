"""Variables and files are put in where they are named, take the type of their place, and are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.config.fakes import Changes, FeedOptions, HookOptions, load_text, problems_of, with_sink

NO_DURATION = "expected a duration with its unit, such as 250ms, 5s or 2h"
FORMS = "write ${VAR}, ${VAR:-default} or ${file:/path}, or $${ for a literal ${"


def options_of(sink: str, folder: Path, environ: dict[str, str]) -> BaseModel:
    return load_text(with_sink(sink), folder, environ).sinks["feed"].options


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${A}", "x"),
        ("${A}${A}", "xx"),
        ("a-${A}/${B_2}.log", "a-x/y.log"),
        ("${NONE:-default}", "default"),
        ("${NONE:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${A:-default}", "x"),
        ("${NONE:-mongodb://h:1/?a=b&c}", "mongodb://h:1/?a=b&c"),
        ("${NONE:-${A}}", "x"),
        ("${NONE:-a${NONE:-b${A}c}d}", "abxcd"),
        ("${NONE:-:-}", ":-"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A}${A}$${", "${A}x${"),
        ("${NONE:-$${A}}", "${A}"),
        ("$A $ {A} $$ROOT }", "$A $ {A} $$ROOT }"),
        ("${TRICKY}", "${A}"),
    ],
)
def test_forms(tmp_path: Path, written: str, expected: str) -> None:
    environ = {"A": "x", "B_2": "y", "EMPTY": "", "TRICKY": "${A}"}

    assert options_of(f"{{type: feed, path: '{written}'}}", tmp_path, environ) == FeedOptions(path=expected)


@pytest.mark.parametrize(
    "text", ["0123", "yes", "true", "1e5", "null", "~", "", "0x10", "-1", " 5 ", "[a]", "{a: b}"]
)
def test_what_a_variable_holds_stays_text_where_text_will_do(tmp_path: Path, text: str) -> None:
    """Passwords and paths look like anything; none may be converted."""
    for reference in ("${A}", '"${A}"'):
        sink = "".join(f"\n    {key}: {reference}" for key in ("path", "password", "servers"))
        sink = f"{sink}\n    type: feed"
        options = options_of(sink, tmp_path, {"A": text})

        assert isinstance(options, FeedOptions)
        assert options.password is not None
        assert (options.path, options.password.get_secret_value(), options.servers) == (text, text, text)


def test_elsewhere_it_is_read_as_yaml(tmp_path: Path) -> None:
    sink = (
        '{type: feed, path: p, limit: "${N}", ratio: "${R}", sync: "${T}", timeout: "${D}", buffer: "${S}",'
        ' mode: "${M}", ports: ["${N}", "${N}0"]}'
    )
    environ = {"N": "12", "R": "1e1", "T": "true", "D": "3s", "S": "2KiB", "M": "replace"}

    assert options_of(sink, tmp_path, environ) == FeedOptions.model_validate(
        {"path": "p", "limit": 12, "ratio": 10.0, "sync": True, "timeout": "3s", "buffer": "2KiB"}
        | {"mode": "replace", "ports": [12, 120]}
    )


@pytest.mark.parametrize("text", ["", "null"])
def test_nothing_where_a_number_may_be_absent(tmp_path: Path, text: str) -> None:
    options = options_of('{type: feed, path: p, limit: "${N}"}', tmp_path, {"N": text})

    assert options == FeedOptions(path="p", limit=None)


def test_in_untyped_places_the_quotes_decide(tmp_path: Path) -> None:
    """A `match` may hold anything; as everywhere in YAML, quotes make text."""
    text = """
        mongodb: {uri: "mongodb://localhost"}
        sinks: {feed: {type: feed, path: x}}
        subscriptions:
          orders:
            routes: [feed]
            source:
              match:
                plain: ${N}
                quoted: "${N}"
                mixed: ${N}0
                list:
                - ${N}
                word: ${W}
        """
    options = load_text(text, tmp_path, {"N": "5", "W": "word"}).subscriptions["orders"].source.options

    assert isinstance(options, Changes.Options)
    expected: dict[str, Any] = {"plain": 5, "quoted": "5", "mixed": "50", "list": [5], "word": "word"}
    assert options.match == expected


def test_sections_take_variables_too(tmp_path: Path) -> None:
    text = """
        mongodb: {uri: "${URI}"}
        server: {port: "${PORT}"}
        log: {level: "${LEVEL:-debug}"}
        daemon: {instance: "${N}", lease: "${LEASE}"}
        sinks: {feed: {type: "${TYPE}", path: x}}
        subscriptions:
          orders: {source: {}, routes: ["${SINK}", {sink: "${SINK}", name: "${SINK}2", lanes: "${N}"}]}
        """
    environ = {"URI": "mongodb://h", "PORT": "0", "N": "7", "LEASE": "1m", "TYPE": "feed", "SINK": "feed"}

    config = load_text(text, tmp_path, environ)

    assert config.mongodb.uri.get_secret_value() == "mongodb://h"
    assert (config.server.port, config.log.level, config.daemon.lease) == (0, "debug", 60)
    assert config.daemon.instance == "7"
    assert [(route.name, route.sink, route.lanes) for route in config.subscriptions["orders"].routes] == [
        ("feed", "feed", None),
        ("feed2", "feed", 7),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"two\nlines\n\n", "two\nlines\n"),
        (b"a\r\nb", "a\r\nb"),
        (b" ${A} \n", " ${A} "),
        (b"", ""),
    ],
)
def test_files(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    for name in (f"{tmp_path}/secret", "secret", "${NAME}", "${NONE:-secret}"):
        sink = f"{{type: feed, path: '${{file:{name}}}'}}"
        assert options_of(sink, tmp_path, {"NAME": "secret"}) == FeedOptions(path=expected)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NONE}", "variable NONE is not set (${NONE:-default} gives it a default)"),
        ("a${A}b${NONE}", "variable NONE is not set (${NONE:-default} gives it a default)"),
        ("${NONE:-${OTHER}}", "variable OTHER is not set (${OTHER:-default} gives it a default)"),
        ("${}", f"not a reference: {FORMS}"),
        ("${1A}", f"not a reference: {FORMS}"),
        ("${A B}", f"not a reference: {FORMS}"),
        ("${A-b}", f"not a reference: {FORMS}"),
        ("${A:?hunter2}", f"not a reference: {FORMS}"),
        ("${vault:hunter2}", f"not a reference: {FORMS}"),
        ("${A", f"a reference that is not closed: {FORMS}"),
        ("${NONE:-${A}", f"a reference that is not closed: {FORMS}"),
        ("${file:none}", "file none cannot be read: No such file or directory"),
        ("${file:.}", "file . cannot be read: Is a directory"),
        ("${file:}", "file cannot be read: Is a directory"),
        ("${file:binary}", "file binary is not UTF-8 text"),
        ("${file:${DIR}/none}", "file ${DIR}/none cannot be read: No such file or directory"),
    ],
)
def test_references_that_lead_nowhere(tmp_path: Path, written: str, message: str) -> None:
    """One problem each: what depends on the missing value is not reported on top of it."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    problems = problems_of(
        with_sink(f"{{type: hook, url: '{written}'}}"), tmp_path, {"A": "x", "DIR": "hunter2"}
    )

    assert problems == [f"c.yaml:4:27: sinks.feed.url: {message}"]


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ("{type: feed, path: p, limit: '${S}'}", ".limit: expected a whole number, got '${S}'"),
        ("{type: feed, path: p, limit: '9${S}'}", ".limit: expected a whole number, got '9${S}'"),
        ("{type: feed, path: p, limit: '${S:-hunter3}'}", ".limit: expected a whole number, got '${S}'"),
        ("{type: feed, path: p, limit: '${Z}'}", ".limit: must be at least 1, got '${Z}'"),
        ("{type: feed, path: p, mode: '${S}'}", ".mode: expected 'append' or 'replace', got '${S}'"),
        ("{type: feed, path: p, mode: '${APPEN}'}", ".mode: expected 'append' or 'replace', got '${APPEN}'"),
        ("{type: feed, path: p, timeout: '${S}'}", f".timeout: {NO_DURATION}, got '${{S}}'"),
        ("{type: feed, path: p, timeout: '${F}'}", f".timeout: {NO_DURATION}, got '${{F}}'"),
        ("{type: feed, path: p, timeout: '${Q}'}", f'.timeout: {NO_DURATION}, got "${{Q}}"'),
        ("{type: '${S}'}", ".type: unknown type '${S}' (known: feed, hook, rude)"),
        ("{type: '${FED}'}", ".type: unknown type '${FED}' (known: feed, hook, rude)"),
        ("{type: hook, url: '${S}'}", ".url: '${S}' is no address of the web"),
        ("{type: hook, url: 'a ${S} b ${F}'}", ".url: 'a ${S} b ${F}' is no address of the web"),
        ("{type: hook, url: 'https://h/${S}', scheme: none}", ": https://h/${S} wants signing"),
        ("{type: hook, url: 'https:${file:token}', scheme: none}", ": https:${file:token} wants signing"),
        ("'${S}'", ": expected a mapping, got '${S}'"),
        ("{type: hook, url: 'https://${S}.forbidden'}", ".url: must not go to ${S}"),
    ],
)
def test_what_was_put_in_is_never_shown(tmp_path: Path, sink: str, message: str) -> None:
    environ = {"S": "hunter2", "Z": "-31337", "F": "5", "Q": "it's\nhunter2", "APPEN": "appen", "FED": "fed"}
    (tmp_path / "token").write_text("hunter2\n")

    (problem,) = problems_of(with_sink(sink), tmp_path, environ)

    assert problem.partition(": sinks.feed")[2] == message
    assert not [value for value in ("hunter", "31337") if value in problem]


def test_a_sink_named_by_a_variable_is_not_shown(tmp_path: Path) -> None:
    text = with_sink("{type: feed, path: x}").replace("[feed]", "['${S}']")

    assert problems_of(text, tmp_path, {"S": "fed"}) == [
        "c.yaml:5:47: subscriptions.orders.routes[0]: sink '${S}' is not declared (declared sinks: feed)"
    ]


@pytest.mark.parametrize("route", ["'${NONE}'", "{sink: '${NONE}'}"])
def test_a_sink_that_is_not_known_is_not_missed_too(tmp_path: Path, route: str) -> None:
    text = with_sink("{type: feed, path: x}").replace("[feed]", f"[{route}]")

    (problem,) = problems_of(text, tmp_path)

    assert problem.endswith("variable NONE is not set (${NONE:-default} gives it a default)")


def test_a_url_built_of_variables(tmp_path: Path) -> None:
    options = options_of("{type: hook, url: 'https://${U}:${P}@h/'}", tmp_path, {"U": "u", "P": "p"})

    assert options == HookOptions(url="https://u:p@h/")


def test_deep_nesting_is_an_error_like_any_other(tmp_path: Path) -> None:
    written = "${A:-" * 5000 + "}" * 5000

    (problem,) = problems_of(with_sink(f"{{type: feed, path: '{written}'}}"), tmp_path)

    assert problem == "c.yaml:4:28: sinks.feed.path: references inside references, too deep"
