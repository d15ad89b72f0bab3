"""docs/performance.md and its pictures are what the results that are kept give, to the last digit."""

from __future__ import annotations

import json

import pytest

from benchmarks.report.page import ROOT, files, quoted
from benchmarks.throughput.bars import verdicts
from benchmarks.throughput.cases import CASES
from benchmarks.throughput.stages import ELSEWHERE, SAMPLES
from tests.docs.options import built_in

WRITTEN = files(quoted())


@pytest.mark.parametrize("name", WRITTEN)
def test_the_page_is_written_from_the_results(name: str) -> None:
    """Whoever measures again, or changes a sentence, runs `python -m benchmarks.report`."""
    assert (ROOT / name).read_text() == WRITTEN[name]


def test_no_picture_is_left_over() -> None:
    """A picture that nothing draws any more shows old numbers."""
    drawn = {ROOT / name for name in WRITTEN if name.endswith(".svg")}
    assert drawn == set((ROOT / "docs/performance").glob("*.svg"))


def test_the_results_say_where_and_with_what() -> None:
    """A number without its machine says nothing."""
    results = quoted()
    assert results
    for result in results.values():
        assert {"cores", "cpu", "memory_gb", "system", "load_before"} <= set(result.machine)
        assert {"eventbus", "python", "pymongo", "mongod"} <= set(result.versions)
        assert all(measured.runs for measured in result.cases.values())


def test_medians_and_spreads_stand_beside_the_runs() -> None:
    """What readers of the file find is what the page shows."""
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        for case in json.loads(path.read_text())["cases"].values():
            assert set(case["median"]) == set(case["spread"]) == set(case["runs"][0])


def test_a_bar_is_judged_by_the_cases_that_it_names() -> None:
    """The slowest of several counts; a bar of a case that was not measured is not judged."""
    middle = {
        name: {"per_sec": rate}
        for name, rate in {"three": 7.0, "kafka": 10.0, "redis": 20.0, "file": 30.0}.items()
    }
    (verdict,) = verdicts(middle, 250_000)
    assert (verdict.measured, verdict.bound, verdict.is_met) == (0.7, 0.6, True)


def test_a_million_has_bars_of_its_own() -> None:
    """A long run gives the machine that compiles as it goes more time."""
    middle = {"discard": {"per_sec": 12.0}, "debezium": {"per_sec": 10.0}}
    assert [verdict.is_met for verdict in verdicts(middle, 250_000)] == [False]
    assert [verdict.is_met for verdict in verdicts(middle, 1_000_000)] == [True]


def test_every_measured_case_is_known_still() -> None:
    """One that was renamed is measured again."""
    for result in quoted().values():
        assert set(result.cases) <= set(CASES)


def test_every_stage_is_measured() -> None:
    """What a stage costs is not left for users to find out."""
    types = set(built_in().stages)
    assert set(SAMPLES) - {"none", "unlooked"} == types - set(ELSEWHERE)
    assert set(ELSEWHERE) <= types
