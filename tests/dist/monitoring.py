"""What is shipped for Prometheus and Grafana, read for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from eventbus.telemetry import metrics
from tests.docs.pages import ROOT

__all__ = ["ALERTS", "DASHBOARD", "EXPOSED", "RECORDS", "RULES", "expressions", "metrics_in"]

RULES = ROOT / "helm/eventbus/files/rules.yaml"
DASHBOARD = ROOT / "helm/eventbus/files/dashboard.json"

_GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
_EVERY = [rule for group in _GROUPS for rule in group["rules"]]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in _EVERY if "alert" in rule}
RECORDS: dict[str, str] = {rule["record"]: rule["expr"] for rule in _EVERY if "record" in rule}
EXPOSED: dict[str, set[str]] = {
    metric._name + ("_total" if isinstance(metric, Counter) else ""): set(metric._labelnames)
    for metric in vars(metrics).values()
    if isinstance(metric, MetricWrapperBase)
}
"""By the metric's name as it is scraped, its labels."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression and where it stands."""

    place: str
    text: str

    def __str__(self) -> str:
        return self.place


def expressions() -> Iterator[Expression]:
    """Every expression of the rules and the dashboard; what Grafana fills in is filled in."""
    for name, rule in ALERTS.items():
        yield Expression(name, rule["expr"])
    for name, text in RECORDS.items():
        yield Expression(name, text)
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "5m")
            yield Expression(
                f"{panel['title']} {target['refId']}", re.sub(r"\$(subscription|route)\b", ".*", text)
            )


def metrics_in(text: str) -> set[str]:
    """The metrics and recorded names that an expression asks for, without what a histogram adds."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\beventbus[_:][\w:]+", text)}
