"""The pages of the Redis, MongoDB and file sinks name a test for each option, which is there."""

from __future__ import annotations

import re

import pytest

from eventbus.registry import Registry
from tests.docs.pages import ROOT, code_spans, tables

SINKS = ("redis", "mongodb", "file")
MODULES = {path.name: path.read_text() for path in (ROOT / "tests/sinks").glob("test_*.py")}
HEADING = "Options and their tests"


@pytest.mark.parametrize("sink", SINKS)
def test_every_option_has_a_test(sink: str) -> None:
    """None is missing, and none is there that cannot be written."""
    rows = tables(ROOT / f"docs/sinks-{sink}.md")[HEADING]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named == Registry.from_entry_points().sink(sink).Options.model_fields.keys()
    assert all("test_" in row[1] for row in rows)


@pytest.mark.parametrize("sink", SINKS)
def test_the_tests_that_are_named_exist(sink: str) -> None:
    """In the module that is named with them, or in one that is named on the page."""
    spans = [span for span in code_spans(ROOT / f"docs/sinks-{sink}.md") if "test_" in span]
    modules = {name for name in MODULES if any(name in span for span in spans)}
    for span in spans:
        module, _, test = span.rpartition("/")[2].rpartition("::")
        if test.endswith(".py"):
            assert test in MODULES, span
        else:
            places = [module] if module else sorted(modules)
            assert any(f"def {test}(" in MODULES[place] for place in places), span
