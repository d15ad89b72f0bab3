"""The page of each sink names a test for each of its options, also those inside of others, which is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from eventbus.registry import Registry
from tests.docs.options import models_in, written_options
from tests.docs.pages import ROOT, code_spans, tables

SINKS = ("kafka", "webhook", "redis", "mongodb", "file")
HEADING = "Options and their tests"
FOLDER = "tests/sinks"


def _options(model: type[BaseModel], within: str = "") -> Iterator[str]:
    """Names of options; those inside of others with the names of these before them."""
    for name, field in written_options(model).items():
        yield within + name
        for inner in models_in(field.annotation):
            yield from _options(inner, f"{within}{name}.")


@pytest.mark.parametrize("sink", SINKS)
def test_every_option_has_a_test(sink: str) -> None:
    """Those that hold others by the others; and none is there that cannot be written."""
    rows = [row for row in tables(ROOT / f"docs/sinks-{sink}.md")[HEADING] if "of a route" not in row[0]]
    named = {name for row in rows for name in re.findall(r"`([\w.]+)`", row[0])}
    options = set(_options(Registry.from_entry_points().sink(sink).Options))
    leaves = {option for option in options if not any(other.startswith(f"{option}.") for other in options)}
    assert named == leaves
    assert all("test_" in row[1] for row in rows)


@pytest.mark.parametrize("sink", SINKS)
def test_the_tests_that_are_named_exist(sink: str) -> None:
    """In the module that is named with them, or before them, or on top of the table."""
    spans = [
        span for span in code_spans(ROOT / f"docs/sinks-{sink}.md") if re.search(r"\btest_|::Test", span)
    ]
    module = ""
    assert spans
    for span in spans:
        named, _, test = span.rpartition("::")
        if span.endswith(".py"):
            named, test = span, ""
        if named:
            module = named if "/" in named else f"{FOLDER}/{named}"
        text = (ROOT / module).read_text()
        assert not test or re.search(rf"(def|class) {test}\b", text), f"{span}, in {module}"
