"""docs/performance.md and its pictures, from the results that are kept in benchmarks/results/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.report.plots import Bar, bars
from benchmarks.throughput.bars import verdicts
from benchmarks.throughput.results import Measured, Results
from benchmarks.throughput.scene import Kind

__all__ = ["QUOTED", "ROOT", "files", "quoted"]

ROOT: Final = Path(__file__).parents[2]
QUOTED: Final = {name: ROOT / f"benchmarks/results/{name}.json" for name in ("bench", "full")}
"""The results that the page quotes."""

_AROUND: Final = Path(__file__).with_name("page.md")
"""The sentences of the page; every number comes from the results."""
_PAGE: Final = "docs/performance.md"
_PICTURES: Final = "docs/performance"
_BUSY_LOAD: Final = 0.5
_COMMANDS: Final = {"bench": "make bench", "full": "make bench-full"}
_PLOTTED: Final = {
    "per_sec": "Events a second, first to last",
    "cpu_us": "Microseconds of CPU per event",
    "peak_mb": "Megabytes of memory at peak",
}
_COLUMNS: Final = {
    Kind.BACKLOG: ("per_sec", "cpu_us", "peak_mb"),
    Kind.SNAPSHOT: ("per_sec", "cpu_us", "peak_mb"),
    Kind.LATENCY: ("p50_ms", "p99_ms", "p999_ms", "cpu_us"),
    Kind.RECOVERY: ("first_secs", "caught_up_secs"),
    Kind.IDLE: ("cpu_percent", "rest_mb", "peak_mb"),
    Kind.STAGE: ("stage_us",),
}
_HEADINGS: Final = {
    "per_sec": "events/s",
    "cpu_us": "µs CPU per event",
    "peak_mb": "peak MB",
    "rest_mb": "MB at rest",
    "cpu_percent": "% of a core",
    "stage_us": "µs an event, its JSON included",
    "p50_ms": "p50 ms (floor)",
    "p99_ms": "p99 ms (floor)",
    "p999_ms": "p99.9 ms (floor)",
    "first_secs": "s to the first delivery",
    "caught_up_secs": "s until caught up",
}
_TITLES: Final = {
    Kind.BACKLOG: "A long backlog",
    Kind.SNAPSHOT: "A snapshot",
    Kind.LATENCY: "Live latency",
    Kind.RECOVERY: "After a SIGKILL",
    Kind.IDLE: "Idle",
    Kind.STAGE: "Stages",
}


def quoted() -> dict[str, Results]:
    """What the page quotes: each size that was kept."""
    return {name: Results.load(path) for name, path in QUOTED.items() if path.exists()}


def files(results: Mapping[str, Results]) -> dict[str, str]:
    """The page and its pictures, by path within the repository."""
    lines: list[str] = []
    pictures: dict[str, str] = {}
    for name, result in results.items():
        drawn = _pictures(name, result)
        pictures |= drawn
        lines += [*_section(name, result, list(drawn))]
    return {_PAGE: _AROUND.read_text().replace("{{results}}\n", "\n".join([*lines, ""])), **pictures}


def _pictures(name: str, results: Results) -> dict[str, str]:
    backlog = {case: measured for case, measured in results.cases.items() if measured.kind == Kind.BACKLOG}
    if not backlog:
        return {}
    return {
        f"{_PICTURES}/{name}-{number}.svg": bars(
            title,
            [Bar(measured.says, measured.median[number], _whose(measured)) for measured in backlog.values()],
        )
        for number, title in _PLOTTED.items()
    }


def _whose(measured: Measured) -> str:
    for whose in ("eventbus", "Debezium"):
        if measured.says.startswith(whose):
            return whose
    return "loop"


def _section(name: str, results: Results, pictures: list[str]) -> Iterator[str]:
    """One run: where and when, the bars, and a table for each kind."""
    yield f"## `{_COMMANDS[name]}` of {results.date[:10]}"
    yield ""
    machine = results.machine
    where = f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']:g} GB of memory"
    yield f"{results.events:,} changes, {_runs(results)}, {results.minutes:.0f} minutes in all."
    yield f"{where}, {machine['system']}."
    yield ", ".join(f"{what} {which}" for what, which in results.versions.items()) + "."
    if machine["load_before"] > _BUSY_LOAD:
        yield ""
        yield (
            f"**The machine was shared with other work (load {machine['load_before']:g} before it began)**: "
            "ratios hold roughly; rates and milliseconds are worse than on an idle machine."
        )
    yield ""
    yield from _bars(results)
    by_kind: dict[str, dict[str, Measured]] = {}
    for case, measured in results.cases.items():
        by_kind.setdefault(measured.kind, {})[case] = measured
    for kind, cases in by_kind.items():
        yield f"### {_TITLES[Kind(kind)]}{_of(name)}"
        yield ""
        yield from _table(Kind(kind), cases)
        if fewer := [
            f"`{case}` {measured.events:,}"
            for case, measured in cases.items()
            if kind == Kind.BACKLOG and measured.events < results.events
        ]:
            yield f"These read fewer changes: {', '.join(fewer)}."
            yield ""
        if kind == Kind.BACKLOG:
            for picture, title in zip(pictures, _PLOTTED.values(), strict=True):
                yield f"![{title}]({picture.removeprefix('docs/')})"
                yield ""
    for case, reason in results.skipped.items():
        yield f"`{case}` was not measured: {reason}."
        yield ""


def _runs(results: Results) -> str:
    """Of how many runs the numbers are medians."""
    most = max((len(measured.runs) for measured in results.cases.values()), default=0)
    return f"medians of {most} runs" if most > 1 else "one run of each case"


def _of(name: str) -> str:
    """Two headings must not be the same."""
    return ", a million" if name == "full" else ""


def _bars(results: Results) -> Iterator[str]:
    found = list(verdicts(results.medians, results.events))
    if not found:
        return
    yield "| bar | measured | must be | |"
    yield "|---|---|---|---|"
    for one in found:
        sign, answer = "≤" if one.at_most else "≥", "met" if one.is_met else "**not met**"
        yield f"| {one.says} | {one.measured:.2f} | {sign} {one.bound:g} | {answer} |"
    yield ""


def _table(kind: Kind, cases: Mapping[str, Measured]) -> Iterator[str]:
    numbers = _COLUMNS[kind]
    yield "| case | what it is | " + " | ".join(_HEADINGS[number] for number in numbers) + " |"
    yield "|---|---|" + "---|" * len(numbers)
    for name, measured in cases.items():
        cells = " | ".join(_cell(measured, number) for number in numbers)
        yield f"| `{name}` | {measured.says} | {cells} |"
    yield ""


def _cell(measured: Measured, number: str) -> str:
    """The median; in brackets what it is to be held against, or how far the runs lie apart."""
    middle = measured.median
    floor = middle.get(number.replace("_ms", "_floor_ms")) if number.endswith("_ms") else None
    if floor is not None:
        return f"{middle[number]:.1f} ({floor:.1f})"
    value = middle[number]
    shown = f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
    return f"{shown} ±{measured.spread[number] / 2:.0%}" if len(measured.runs) > 1 else shown
