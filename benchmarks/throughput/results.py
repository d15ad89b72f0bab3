"""What one invocation gave: kept as JSON, shown as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.throughput.bars import verdicts
from benchmarks.throughput.measuring import Numbers, medians, spreads

__all__ = ["Measured", "Results", "table"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One case's numbers.

    Args:
        says: What the case is.
        kind: Of what kind.
        events: How many events each run read.
        runs: Each run's numbers, in the order of the runs.
    """

    says: str
    kind: str
    events: int
    runs: list[Numbers]

    @property
    def median(self) -> Numbers:
        return medians(self.runs)

    @property
    def spread(self) -> Numbers:
        return spreads(self.runs)


@dataclass(frozen=True, slots=True)
class Results:
    """All of one invocation.

    Args:
        date: When it began.
        minutes: How long all of it took.
        events: How many changes the backlog had.
        machine: Where.
        versions: With what.
        cases: The numbers, by case.
        skipped: Why a case was not measured, by case.
    """

    date: str
    minutes: float
    events: int
    machine: dict[str, Any]
    versions: dict[str, str]
    cases: dict[str, Measured]
    skipped: dict[str, str]

    @property
    def medians(self) -> dict[str, Numbers]:
        return {name: measured.median for name, measured in self.cases.items()}

    def save(self, path: Path) -> None:
        """Write it, with medians and spreads beside the runs for readers of the file."""
        whole = asdict(self)
        for name, measured in self.cases.items():
            whole["cases"][name] |= {"median": measured.median, "spread": measured.spread}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        whole = json.loads(path.read_text())
        cases = {
            name: Measured(**{key: case[key] for key in ("says", "kind", "events", "runs")})
            for name, case in whole.pop("cases").items()
        }
        return cls(cases=cases, **whole)


def table(results: Results) -> Iterator[str]:
    """Lines for a terminal: medians and spreads by kind, what was not measured, and the bars."""
    by_kind: dict[str, dict[str, Measured]] = {}
    for name, measured in results.cases.items():
        by_kind.setdefault(measured.kind, {})[name] = measured
    for kind, cases in by_kind.items():
        names = list(next(iter(cases.values())).median)
        yield ""
        yield f"{kind:22}" + "".join(f"{_HEADINGS.get(name, name):>18}" for name in names)
        for name, measured in cases.items():
            yield f"{name:22}" + "".join(f"{_cell(measured, number):>18}" for number in names)
    for name, reason in results.skipped.items():
        yield f"{name} was not measured: {reason}"
    yield from _bars(results.medians, results.events)


def _cell(measured: Measured, number: str) -> str:
    value = measured.median[number]
    shown = f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"
    return f"{shown} ±{measured.spread[number] / 2:.0%}" if len(measured.runs) > 1 else shown


def _bars(middle: Mapping[str, Numbers], events: int) -> Iterator[str]:
    found = list(verdicts(middle, events))
    if found:
        yield ""
    for verdict in found:
        sign = "≤" if verdict.at_most else "≥"
        answer = "met" if verdict.is_met else "NOT met"
        yield f"{verdict.says:48} {verdict.measured:>8.2f}  {sign} {verdict.bound:<6g} {answer}"


_HEADINGS: Final = {
    "per_sec": "events/s",
    "cpu_us": "µs CPU/event",
    "peak_mb": "peak MB",
    "rest_mb": "MB at rest",
    "cpu_percent": "% of a core",
}
