"""Each option of an encoding has a test on its page, and each test that the page names exists."""

from __future__ import annotations

import re

import pytest

from eventbus.config import models
from tests.docs.options import written_options
from tests.docs.pages import ROOT, tables

ROWS = tables(ROOT / "docs/encoding.md")["What shows it"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_test_that_is_named_exists(row: list[str]) -> None:
    """A test that is renamed is renamed on the page; one without a file is in that of the one before."""
    file = ""
    named = re.findall(r"`([\w/.]*)::(\w+)`", row[1])
    assert named
    for path, name in named:
        file = path or file
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file} has no {name}"


def test_every_option_has_a_test() -> None:
    """A knob without one is a guess."""
    shown = {name for row in ROWS for name in re.findall(r"`(\w+)", row[0])}
    for model in (models.EncodingPolicy, models.ClaimCheckPolicy, models.RegistryPolicy):
        assert written_options(model).keys() <= shown
