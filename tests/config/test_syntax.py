"""What is no YAML, or no text at all, is reported at its line and column, and quotes no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.config import load
from eventbus.errors import ConfigurationError
from tests.config.fakes import REGISTRY, SMALLEST, load_text, problems_of, with_sink


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "c.yaml:1:9: YAML syntax: expected ',' or ']'"),
        (
            "mongodb:\n\turi: x\n",
            "c.yaml:2:1: YAML syntax: found character '\\t' that cannot start",
        ),
        ("mongodb: {uri: ${URI}}", "c.yaml:1:17: YAML syntax: expected ',' or '}', but got '{'"),
        ("a: b: c", "c.yaml:1:5: YAML syntax: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: YAML syntax: but found another document"),
        ("- a", "c.yaml:1:1: expected a mapping of sections, such as mongodb, sinks and subscriptions"),
        ("just text", "c.yaml:1:1: expected a mapping of sections"),
        ("a: 1\nb: '\x01'", "c.yaml:2:5: a control character, which YAML allows only escaped"),
        ('a: "\\UFFFFFFFF"', "c.yaml:1:7: an escape or a number that is out of range"),
        ("%YAML " + "1" * 5000 + ".1\n--- a", "c.yaml:1:7: an escape or a number that is out of range"),
        ("a: " + "[" * 800, "c.yaml:1:1: nested too deeply"),
        ("sinks: &x {a: *x}", "c.yaml:1:8: an alias inside the anchor that it names"),
    ],
)
def test_syntax(tmp_path: Path, text: str, problem: str) -> None:
    problems = problems_of(text, tmp_path)

    assert any(line.startswith(problem) for line in problems), problems


def test_a_reference_without_quotes_in_braces_is_explained(tmp_path: Path) -> None:
    (problem,) = problems_of("mongodb: {uri: ${URI}}", tmp_path)

    assert problem.endswith("; inside { } or [ ] a ${...} must be quoted")


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    """A short text can stand for more values than memory holds."""
    levels = [f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    text = "\n".join(["l0: &l0 [x]", *levels])

    (problem,) = problems_of(text, tmp_path)

    assert "more than 100,000 values, aliases counted in full" in problem


@pytest.mark.parametrize(
    "value",
    ["*hunter2", "!hunter2", "[*hunter2", '"hunter2" hunter2', "'hunter2", "@hunter2", "!hunter2!x y"],
)
def test_syntax_errors_quote_no_value(tmp_path: Path, value: str) -> None:
    problems = problems_of(with_sink(f"{{type: feed, path: x, password: {value}}}"), tmp_path)

    assert problems
    assert not [problem for problem in problems if "hunter2" in problem]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load([tmp_path / "none.yaml", tmp_path], REGISTRY, {})

    assert caught.value.problems == (
        f"{tmp_path}:1:1: cannot be read: Is a directory",
        f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory",
    )


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("mongodb: é".encode("latin-1"))

    with pytest.raises(ConfigurationError, match=r"latin.yaml:1:1: not UTF-8 text \(byte 9\)"):
        load([file], REGISTRY, {})


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())

    assert load([file], REGISTRY, {}).sinks.keys() == {"feed"}


def test_no_file_at_all() -> None:
    with pytest.raises(ConfigurationError, match="no file of configuration was given"):
        load([], REGISTRY, {})


def test_several_problems_make_one_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_text("a: 1\nb: 2\n", tmp_path)

    assert str(caught.value).splitlines() == list(caught.value.problems)
    assert caught.value.__context__ is None, "a chained error of pydantic would show values"
