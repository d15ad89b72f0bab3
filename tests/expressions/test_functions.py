"""Functions that plugins bring: called like those of the language, found by their entry points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stages.events import become, change, problem

MODULE = """
from bson import ObjectId
from eventbus_functions_of_a_test_more import *
def twice(value): return value * 2
def first_id(): return ObjectId(bytes(12))
def failing(value): raise RuntimeError(f"the secret {value}")
"""
DECLARED = """
[eventbus.functions]
twice = {module}:twice
first_id = {module}:first_id
failing = {module}:failing
gone = {module}:gone
broken = {module}_broken:anything
number = {module}:number
size = {module}:twice
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with functions, as an installer leaves it."""
    module = "eventbus_functions_of_a_test"
    info = tmp_path / f"{module}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(DECLARED.format(module=module))
    (tmp_path / f"{module}.py").write_text(MODULE)
    (tmp_path / f"{module}_more.py").write_text("number = 5\n")
    (tmp_path / f"{module}_broken.py").write_text("raise RuntimeError('a secret')\n")
    monkeypatch.syspath_prepend(tmp_path)


def _set(expression: str) -> Any:
    return {"set": {"fields": {"result": expression}}}


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("twice(document.n)", 14),
        ("document.n.twice() + 1", 15),
        ("[1, 2].map(x, twice(x))", [2, 4]),
        ("first_id() == '000000000000000000000000'", True),
        ("twice(document.nothing)", None),
        ("size('abc')", 3),
    ],
)
def test_is_called_like_any_other(expression: str, result: Any) -> None:
    """Of what is missing there is no result; and no function of the language is replaced."""
    found = become(change(document={"n": 7}), _set(expression))
    assert found.get("meta", {}).get("result") == result


def test_one_that_raises_parks_the_event(caplog: pytest.LogCaptureFixture) -> None:
    """Its text, which may show a value, is shown nowhere."""
    found = become(change(document={"n": 4711}), _set("failing(document.n)"))
    assert found == "parked: stage set (1): result: a function of it does not take such values"
    assert "4711" not in caplog.text


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 + twise(1)", "column 5: unknown function 'twise', did you mean 'twice'?"),
        ("gone(1)", "column 1: function 'gone' cannot be imported: AttributeError"),
        ("broken(1)", "column 1: function 'broken' cannot be imported: RuntimeError"),
        ("number(1)", "column 1: function 'number' is none: eventbus_functions_of_a_test:number"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_the_start(expression: str, message: str) -> None:
    """With its column."""
    assert problem(_set(expression)) == f"pipeline[0].set.fields.result: {message}"
