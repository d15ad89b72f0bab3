"""docs/doctor.md is the catalogue of what can be found, and each problem of it is made by a test."""

from __future__ import annotations

import pytest

from eventbus.doctor.catalogue import CATALOGUE
from tests.docs.pages import ROOT, tables

PAGE = ROOT / "docs/doctor.md"
TESTS = "".join(path.read_text() for path in sorted((ROOT / "tests/doctor").glob("test_*.py")))
CHECKS = "".join(
    path.read_text()
    for path in sorted((ROOT / "eventbus/doctor").glob("*.py"))
    if path.name != "catalogue.py"
)


def test_the_page_is_the_catalogue() -> None:
    """Code, verdict, meaning, what to do; in the order in which things are looked at."""
    assert tables(PAGE)["Every problem"] == [
        [f"`{problem.code}`", problem.verdict.value, problem.meaning, problem.mend]
        for problem in CATALOGUE.values()
    ]


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_problem_is_found_by_a_check_and_made_by_a_test(code: str) -> None:
    """A code that nothing finds, or that was never seen, would be a promise in the air."""
    assert f'"{code}"' in CHECKS
    assert f'"{code}"' in TESTS
