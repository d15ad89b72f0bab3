"""Whatever is in a file, it loads or it is a configuration error with a place; never anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventbus.config import load
from eventbus.errors import ConfigurationError
from tests.config.fakes import REGISTRY, SMALLEST
from tests.config.test_values import FULL

ENVIRON = {"A": "hunter2", "N": "17", "E": "", "SINK": "feed"}

LINES = st.sampled_from([line for text in (SMALLEST, FULL) for line in text.splitlines() if line.strip()])
WORDS = st.sampled_from(
    [
        "${A}",
        "${N}",
        "${E}",
        "${NONE}",
        "${",
        "$${A}",
        "feed",
        "mongodb",
        "hook",
        "5s",
        "1MiB",
        "\x00",
        "😀",
        "<<",
    ]
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.sampled_from(
    ["mongodb", "state", "server", "log", "daemon", "defaults", "sinks", "subscriptions"]
)


@contextmanager
def written(text: str) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "c.yaml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        yield file


def loads_or_says_where(text: str) -> None:
    with written(text) as file:
        try:
            load([file], REGISTRY, ENVIRON)
        except ConfigurationError as error:
            problems = error.problems
        else:
            return
        assert problems
        for problem in problems:
            assert re.match(rf"{re.escape(str(file))}:[1-9]\d*:[1-9]\d*: \S", problem), problem
            assert "\n" not in problem
            assert "hunter2" not in problem


@settings(deadline=None)
@given(st.text(max_size=200))
@example('a: "\\UFFFFFFFF"')
@example("a: &a [*a]")
@example("? a\n: b\n? [c]\n: d")
@example("\ufeff")
@example("a: !!binary x")
@example("a: !!timestamp 2026-13-45")
def test_any_text(text: str) -> None:
    loads_or_says_where(text)


@settings(deadline=None)
@given(st.lists(LINES | st.text(alphabet=" \t-:{}[],&*!|>'\"%@`#?\n${}ab1", max_size=12), max_size=14))
def test_any_mixture_of_lines(lines: list[str]) -> None:
    loads_or_says_where("\n".join(lines))


@settings(deadline=None)
@given(st.dictionaries(SECTIONS | WORDS, VALUES, max_size=8))
def test_any_values_in_any_section(document: dict[str, Any]) -> None:
    loads_or_says_where(yaml.safe_dump(document))


@st.composite
def nearly_sound(draw: st.DrawFn) -> dict[str, Any]:
    """A sound configuration with some part, at any depth, replaced by anything."""
    document: dict[str, Any] = yaml.safe_load(draw(st.sampled_from([SMALLEST, FULL])))
    for _ in range(draw(st.integers(1, 3))):
        part: Any = document
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            key = draw(st.sampled_from(keys))
            if not isinstance(part[key], dict | list) or not part[key] or draw(st.integers(0, 3)) == 0:
                break
            part = part[key]
        part[key] = draw(VALUES)
    return document


@given(nearly_sound())
@settings(max_examples=100, deadline=None)
def test_a_sound_configuration_with_a_part_replaced(document: dict[str, Any]) -> None:
    loads_or_says_where(yaml.safe_dump(document))


def test_these_properties_see_sound_configurations() -> None:
    """Or they would prove nothing about what lies beyond the first check."""
    with written(yaml.safe_dump(yaml.safe_load(FULL))) as file:
        assert load([file], REGISTRY, ENVIRON).subscriptions.keys() == {"orders"}
