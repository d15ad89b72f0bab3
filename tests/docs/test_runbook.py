"""The runbook knows every log line, and the metrics page every metric: no more and no fewer."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from eventbus.telemetry import metrics
from tests.docs.pages import PAGES, ROOT, code_spans, links, tables
from tests.docs.source_code import logged, parsed, sources

RUNBOOK = ROOT / "docs/runbook.md"
METRICS = ROOT / "docs/metrics.md"
TYPES: dict[type[MetricWrapperBase], str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
METRIC_OBJECTS = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def _events() -> dict[str, str]:
    """Level by event, of every line that the package logs."""
    found = {}
    for path in sources():
        for level, event, line in logged(parsed(path)):
            assert isinstance(event, ast.Constant), f"{path}:{line}: the event is written where it is logged"
            found[str(event.value)] = level
    return found


def test_logs_are_found() -> None:
    """The scan sees plain logs, bound ones and those of objects; else the next test would prove nothing."""
    assert _events().items() >= {
        ("daemon_started", "info"),
        ("circuit_opened", "warning"),
        ("subscription_crashed", "error"),
        ("sink_raised", "error"),
        ("change_parked", "warning"),
    }


def test_no_log_has_a_name_that_the_scan_does_not_know() -> None:
    """Every module with a log of its own calls it `log`; what is bound from it is `_log` or `bound`."""
    for path in sources():
        for target in re.findall(
            r"(\w+) *(?::[^=\n]+)?= *(?:structlog\.get_logger|\w*log\.bind)\(", path.read_text()
        ):
            assert target in {"log", "_log", "bound"}, f"{path} calls its log {target}"


def test_the_runbook_lists_every_event_with_its_level() -> None:
    """An operator who searches the page for a line finds it."""
    listed = {row[0].strip("`"): row[1] for row in tables(RUNBOOK)["Every log line"]}
    assert listed == _events()
    assert list(listed) == sorted(listed)


def test_the_list_at_the_top_leads_to_every_section() -> None:
    """Whoever comes with a failure and not with a log line looks there first."""
    for page in (RUNBOOK, ROOT / "docs/api.md"):
        top, *sections = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
        named = re.findall(r"\]\(#([\w-]+)\)", top)
        headings = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections[::2]]
        assert sorted(named) == sorted(headings), page


def test_every_warning_and_error_leads_to_a_section_that_speaks_of_it() -> None:
    """It is not enough to be in the list: the section says what to do."""
    text = RUNBOOK.read_text()
    for event, level, see in ([*row, ""][:3] for row in tables(RUNBOOK)["Every log line"]):
        if level in {"warning", "error"}:
            heading = see.partition("[")[2].partition("]")[0]
            section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
            assert f"{event}`" in section or f"`{event.strip('`')}`" in section, (
                f"{heading} is silent about {event}"
            )
            assert "**Do" in section or heading == "Start, stop, upgrade", (
                f"{heading} does not say what to do"
            )


def test_the_metrics_page_lists_every_metric_with_type_and_labels() -> None:
    """What a scrape shows is what the page shows."""
    listed = {row[0].strip("`"): (row[1], _names(row[2])) for row in tables(METRICS)["Metrics"]}
    assert listed == {
        _exposed(metric): (_type(metric), list(metric._labelnames)) for metric in METRIC_OBJECTS
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    """Expressions for alerts break silently when a metric is renamed."""
    exposed = {_exposed(metric) for metric in METRIC_OBJECTS}
    named = re.findall(r"\beventbus_[a-z_]+", " ".join(code_spans(page)))
    known = exposed | {"eventbus_spool", "eventbus_claims"}  # the plugins' example, a bucket of GridFS
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} - known == set()


def test_the_runbook_uses_the_metrics_page() -> None:
    """The two pages lead to each other."""
    assert "metrics.md" in links(RUNBOOK)
    assert "runbook.md" in links(METRICS)


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def _type(metric: MetricWrapperBase) -> str:
    return next(name for cls, name in TYPES.items() if isinstance(metric, cls))


def _exposed(metric: MetricWrapperBase) -> str:
    return str(metric._name) + ("_total" if isinstance(metric, Counter) else "")
