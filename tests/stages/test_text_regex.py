"""The stage `text` with regular expressions: what they find, and that none can keep the daemon busy."""

from __future__ import annotations

import time
from typing import Any

import pytest

from eventbus.stages import patterns
from eventbus.stages.patterns import Pattern
from tests.stages.events import become, change, problem

pytest.importorskip("re2")


@pytest.mark.parametrize(
    ("step", "text", "becomes"),
    [
        ({"regex": r"\d+"}, "order 4711 of 12", "4711"),
        ({"regex": r"order (\d+)"}, "order 4711", "4711"),
        ({"regex": r"order (\d+)", "group": 0}, "an order 4711", "order 4711"),
        ({"regex": r"(a)|(b)", "group": 2}, "a", None),
        ({"regex": r"x"}, "order", None),
        ({"regex": r"(?i)ÜBUNG €(.)"}, "die Übung €ä", "ä"),
        (
            {"regex": r"(\w+)@(\w+)", "with": r"\2 at \1 \\ ä$1"},
            "jo@x, ann@y",
            r"x at jo \ ä$1, y at ann \ ä$1",
        ),
        ({"regex": r"\s*", "with": ""}, "a b  c", "abc"),
        ({"regex": r"(a)|(b)", "with": r"[\2]"}, "ab", "[][b]"),
    ],
)
def test_what_a_pattern_finds(step: Any, text: str, becomes: Any) -> None:
    """The first match, or a group of it; or all of them replaced."""
    stage = {"text": {"fields": ["a"], "steps": [step]}}
    assert become(change(document={"a": text}), stage) == {"document": {"a": becomes}}


def test_no_pattern_takes_more_than_the_length_of_the_text() -> None:
    """One that a backtracking engine would try for longer than there is time."""
    pattern = Pattern(r"(a*)*(a|aa)+$")
    begun = time.process_time()
    assert pattern.found("a" * 100_000 + "!", 0) is None
    assert time.process_time() - begun < 5


def test_nothing_is_replaced_in_a_text_that_is_too_long() -> None:
    """Since that would take the square of its length."""
    stage = {"text": {"fields": ["a"], "steps": [{"regex": "(.*?)z|a", "with": "b"}]}}
    assert become(change(document={"a": "a" * 10_001}), stage) == (
        "parked: stage text (1): a: a text of more than 10000 letters"
    )
    assert become(change(document={"a": "a" * 100}), stage) == {"document": {"a": "b" * 100}}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"regex": "(a"}, "pipeline[0].text.steps[0].regex: is no regular expression of RE2: missing ): (a"),
        ({"regex": r"(?=a)"}, "is no regular expression of RE2: invalid perl operator: (?="),
        ({"regex": r"(a)\1"}, r"is no regular expression of RE2: invalid escape sequence: \1"),
        ({"regex": "(a{900}){900}"}, "is no regular expression of RE2"),
        ({"regex": "(a)", "group": 2}, "the regular expression has 1 groups, and no group 2"),
        ({"regex": "(a)", "with": r"\2"}, "the regular expression has 1 groups, and no group 2"),
        ({"regex": "a", "group": 0, "with": "b"}, "group belongs to a regex that takes something out"),
    ],
)
def test_a_pattern_that_is_none_is_told_with_its_place(step: Any, message: str) -> None:
    """Before the start."""
    assert message in problem({"text": {"fields": ["a"], "steps": [step]}})


def test_a_missing_engine_is_told_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; no other engine takes its place."""
    monkeypatch.setattr(patterns, "find_spec", lambda name: None)
    assert "needs the package google-re2: install eventbus[regex]" in problem(
        {"text": {"fields": ["a"], "steps": [{"regex": "a"}]}}
    )
