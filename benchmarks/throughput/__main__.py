"""Throughput, latency and cost of the daemon, end to end, beside loops that anybody would write and Debezium.

    python -m benchmarks.throughput [--cases a,b] [--events N] [--runs N] [--within MINUTES] [--full]
    python -m benchmarks.throughput --list

Everything is real: a mongod, a broker, a Redis and a receiver of its own; the daemon and every loop are
processes of their own. All read the same changes from the same oplog. The cases alternate, run
by run, since the machine may be shared and noisy; what counts are ratios within one invocation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.throughput.cases import CASES, DEBEZIUM
from benchmarks.throughput.debezium import PACKAGE, why_not
from benchmarks.throughput.machine import machine, versions
from benchmarks.throughput.results import Measured, Results, table
from benchmarks.throughput.scene import Case, Kind, Scene
from benchmarks.throughput.servers import Servers, cleared, servers_for
from benchmarks.throughput.workload import make_backlog

_RESULTS: Final = Path(__file__).parents[1] / "results"
_EVENTS: Final = 250_000
_FULL_EVENTS: Final = 1_000_000
_RUNS: Final = 3
_ONE_RUN: Final = frozenset({Kind.RECOVERY, Kind.IDLE})
"""What differs so little from run to run that it is looked at once, unless everything is looked at."""
_LIVE_SECS: Final = 5.0
_FULL_LIVE_SECS: Final = 30.0


def main(arguments: argparse.Namespace) -> None:
    """Measure what is asked for, and tell."""
    chosen = _chosen(arguments.cases, is_full=arguments.full)
    events = arguments.events or (_FULL_EVENTS if arguments.full else _EVENTS)
    began, before = datetime.now(UTC), machine()
    cases = {case.name: Measured(case.says, case.kind, events // case.share, []) for case in chosen}
    failed: dict[str, str] = {}
    needs = frozenset[str]().union(*(case.needs for case in chosen))
    with servers_for(needs, oplog_mb=max(990, events // 400)) as servers:
        skipped = {case.name: reason for case in chosen if (reason := _missing(case, servers))}
        _say(f"making {events:,} changes")
        start = make_backlog(servers.mongodb, events)
        measurable = [case for case in chosen if case.name not in skipped]
        live_secs = _FULL_LIVE_SECS if arguments.full else _LIVE_SECS
        for number, (run, case) in enumerate(
            _order(measurable, arguments.runs, arguments.within * 60, is_full=arguments.full)
        ):
            if case.name in failed:
                continue
            begun = time.monotonic()
            scene = Scene(servers, (start.time, start.inc), events // case.share, number, live_secs)
            try:
                numbers = case.measure(scene)
            except Exception as error:  # noqa: BLE001 - the other cases have taken a quarter of an hour
                failed[case.name] = f"failed: {error}"
                _say(f"run {run + 1}: {case.name:22} {failed[case.name]}")
            else:
                cases[case.name].runs.append(numbers)
                _say(f"run {run + 1}: {case.name:22} {numbers}  ({time.monotonic() - begun:.0f} s)")
            cleared(servers)
    done = {name: measured for name, measured in cases.items() if measured.runs and name not in failed}
    used = {**versions(), **servers.versions}
    if any(DEBEZIUM in CASES[name].needs for name in done):
        used["debezium"] = PACKAGE
    minutes = round((datetime.now(UTC) - began).total_seconds() / 60, 1)
    results = Results(
        began.isoformat(timespec="seconds"), minutes, events, before, used, done, skipped | failed
    )
    print("\n".join(table(results)))
    path = arguments.json or _RESULTS / f"last-{'full' if arguments.full else 'bench'}.json"
    results.save(path)
    _say(f"written to {path}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _chosen(names: str | None, *, is_full: bool) -> list[Case]:
    if names is None:
        return [case for case in CASES.values() if is_full or not case.only_full]
    if unknown := sorted(set(names.split(",")) - set(CASES)):
        sys.exit(f"no such case: {', '.join(unknown)} (known: {', '.join(CASES)})")
    return [CASES[name] for name in names.split(",")]


def _missing(case: Case, servers: Servers) -> str | None:
    """Why a case cannot be measured here."""
    if DEBEZIUM in case.needs and (reason := why_not()):
        return reason
    return next((servers.missing[need] for need in sorted(case.needs) if need in servers.missing), None)


def _order(
    cases: Sequence[Case], runs: int, within_secs: float, *, is_full: bool
) -> Iterator[tuple[int, Case]]:
    """Run by run, so that the cases alternate; a further run of all only if it will be over in time."""
    begun, took = time.monotonic(), 0.0
    for run in range(runs):
        if run and time.monotonic() - begun + took > within_secs:
            _say(f"after {run} of {runs} runs: with another it would be over {within_secs / 60:.0f} minutes")
            return
        took = 0.0
        for case in sorted(cases, key=lambda case: list(Kind).index(case.kind)):
            is_once = case.kind in _ONE_RUN and not is_full
            if run and is_once:
                continue
            since = time.monotonic()
            yield run, case
            took += 0.0 if is_once else time.monotonic() - since


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--cases", help="names, by comma; by default all that the size has")
    parser.add_argument("--events", type=int, help="how many changes the backlog has")
    parser.add_argument("--runs", type=int, default=_RUNS)
    parser.add_argument(
        "--within",
        type=float,
        default=float("inf"),
        metavar="MINUTES",
        help="fewer runs rather than more time",
    )
    parser.add_argument("--full", action="store_true", help="a million changes and every case")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{case.name:22} {case.says}" for case in CASES.values()))
    else:
        main(given)
