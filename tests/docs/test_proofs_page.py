"""Each option of the webhook sink has a test on its page, and each test that the page names exists."""

from __future__ import annotations

import re

import pytest

from eventbus.sinks.webhook import WebhookOptions
from tests.docs.pages import ROOT, tables

ROWS = tables(ROOT / "docs/sinks-webhook.md")["What shows it"]


def _named(cell: str) -> list[tuple[str, str]]:
    """File and test; a test without a file is in that of the one before it."""
    found: list[tuple[str, str]] = []
    for file, name in re.findall(r"`([\w/.]*)::(\w+)`", cell):
        found.append((file or found[-1][0], name))
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_test_that_is_named_exists(row: list[str]) -> None:
    """A test that is renamed is renamed on the page."""
    named = _named(row[1])
    assert named
    for file, name in named:
        path = ROOT / (file if "/" in file else f"tests/sinks/{file}")
        assert re.search(rf"(def|class) {name}\b", path.read_text()), f"{file} has no {name}"


def test_every_option_has_a_test() -> None:
    """A knob without one is a guess."""
    shown = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[0])}
    assert set(WebhookOptions.model_fields) <= shown
