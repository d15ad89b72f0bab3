"""Alerts and panels ask for metrics that exist, and lead to a section that exists."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.dist.monitoring import (
    ALERTS,
    DASHBOARD,
    EXPOSED,
    RECORDS,
    RULES,
    Expression,
    expressions,
    metrics_in,
)
from tests.docs.pages import ROOT, anchors, tables

BOARD = json.loads(DASHBOARD.read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = list(expressions())
PROMETHEUS_OWN = {"le", "instance"}
"""Labels that no metric declares: of a histogram's buckets, and of every scrape."""


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_every_metric_that_is_asked_for_exists(expression: Expression) -> None:
    """One that was renamed would leave an alert silent for ever."""
    asked = metrics_in(expression.text)
    assert asked
    assert asked - EXPOSED.keys() - RECORDS.keys() == set()


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_every_label_that_is_asked_for_exists(expression: Expression) -> None:
    """On at least one of the metrics of the expression; recorded ones have those of what they are made of."""
    asked = set(re.findall(r"(\w+)=~?\"", expression.text))
    for group in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", expression.text):
        asked |= set(group.split(", "))
    assert asked - _labels_of(metrics_in(expression.text)) - PROMETHEUS_OWN == set()


def _labels_of(names: set[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        found |= _labels_of(metrics_in(RECORDS[name])) if name in RECORDS else EXPOSED[name]
    return found


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_leads_to_a_section_of_the_runbook_that_says_what_to_do(rule: dict[str, Any]) -> None:
    """A link that leads nowhere is found at three in the morning."""
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/runbook.md"
    assert anchor in anchors(ROOT / page)


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_what_is_wrong_and_how_bad_it_is(rule: dict[str, Any]) -> None:
    """Its texts name no label that the expression has aggregated away."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    kept = {label for group in re.findall(r"by \(([\w, ]+)\)", rule["expr"]) for label in group.split(", ")}
    for name in metrics_in(rule["expr"]) & RECORDS.keys():
        kept |= {
            label for group in re.findall(r"by \(([\w, ]+)\)", RECORDS[name]) for label in group.split(", ")
        }
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= kept


def test_every_recorded_name_is_used() -> None:
    """By an alert or a panel; else nobody would notice that it is wrong."""
    used = {name for expression in EXPRESSIONS for name in metrics_in(expression.text)}
    assert RECORDS.keys() - used == set()


def test_the_panels_have_places_of_their_own_and_say_what_they_show() -> None:
    """No two overlap; each has a description and a unit."""
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)


def test_the_files_beside_the_compose_file_are_the_chart_s() -> None:
    """One source: what lies below config/deploy is a link."""
    assert (ROOT / "config/deploy/prometheus/rules.yaml").resolve() == RULES.resolve()
    assert (ROOT / "config/deploy/grafana/dashboard.json").resolve() == DASHBOARD.resolve()


def test_the_page_of_metrics_leads_to_the_rules() -> None:
    """Each alert is in its table, with the severity and what it waits for."""
    listed = {
        row[0].strip("`"): (row[1], row[2] or "0m") for row in tables(ROOT / "docs/metrics.md")["Alerts"]
    }
    assert listed == {
        name: (rule["labels"]["severity"], rule.get("for", "0m")) for name, rule in ALERTS.items()
    }
