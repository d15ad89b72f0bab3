"""Whoever is woken by an alert reads in the runbook what it means, where to look and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, anchors

RUNBOOK = (ROOT / "docs/runbook.md").read_text()
RULES = yaml.safe_load((ROOT / "config/deploy/prometheus/rules.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}


def _section(anchor: str) -> str:
    """The text below the heading with this anchor."""
    for part in RUNBOOK.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        if heading.lower().replace(" ", "-") == anchor:
            return text
    return ""


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_has_its_meaning_where_to_look_and_what_to_do(rule: dict[str, Any]) -> None:
    """In this order."""
    text = _section(rule["annotations"]["runbook_url"].partition("#")[2])
    places = [text.find(word) for word in ("**Means", "**Look at", "**Do")]
    assert -1 not in places, f"of Means, Look at and Do at {places}"
    assert places == sorted(places)


def test_sections_are_found() -> None:
    """By the anchors that links use."""
    found = {heading for heading in anchors(ROOT / "docs/runbook.md") if _section(heading)}
    assert "a-sink-is-down" in found
    assert not _section("nothing")
