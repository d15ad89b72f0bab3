"""The stage `number`: exact results, rounded once, and labels; what has none is told and not shown."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import pytest
from bson import Decimal128, Int64
from hypothesis import given
from hypothesis import strategies as st

from eventbus.stages.numbers import Mode, exchanged, rounded, typed
from tests.stages.events import become, change, problem

RATES = {"EUR": 1, "USD": "1.0842", "JPY": 161.45}


def _of(value: Any, /, others: Any = None, **options: Any) -> Any:
    """What becomes of a value."""
    event = change(document={"v": value, **(others or {})})
    found = become(event, {"number": {"fields": ["v"], **options}})
    return found["document"]["v"] if isinstance(found, dict) else found


@pytest.mark.parametrize(
    ("value", "digits", "mode", "becomes"),
    [
        (2.675, 2, "half_even", 2.68),
        (2.665, 2, "half_even", 2.66),
        (1.005, 2, "half_up", 1.01),
        (-2.5, 0, "half_up", -3.0),
        (-2.5, 0, "half_down", -2.0),
        (-2.1, 0, "up", -3.0),
        (-2.9, 0, "down", -2.0),
        (-2.9, 0, "ceiling", -2.0),
        (-2.1, 0, "floor", -3.0),
        (Decimal128("2.5"), 2, "half_even", Decimal128("2.50")),
        (Decimal128("1E+6000"), 2, "half_even", Decimal128("1E+6000")),
        (Decimal128("1" * 34), 2, "up", Decimal128("1" * 34)),
        (1234, -2, "half_even", 1200),
        (1250, -2, "half_even", 1200),
        (Int64(5), 2, "half_even", Int64(5)),
        (1e300, 2, "half_even", 1e300),
    ],
)  # fmt: skip
def test_numbers_are_rounded_as_they_are_written(value: Any, digits: int, mode: str, becomes: Any) -> None:
    """And keep their type."""
    found = _of(value, round={"digits": digits, "mode": mode})
    assert (found, type(found), str(found)) == (becomes, type(becomes), str(becomes))


@given(st.decimals(-(10**20), 10**20, places=6), st.integers(-6, 6), st.sampled_from(get_args(Mode)))
def test_rounding_goes_no_farther_than_one_step(number: Decimal, digits: int, mode: Mode) -> None:
    """Halves no farther than half of one, to a multiple of it; and rounded again it stays."""
    step = Fraction(10) ** -digits
    made = rounded(number, digits, mode)
    assert Fraction(made) % step == 0
    distance = abs(Fraction(made) - Fraction(number))
    assert distance <= step / 2 if mode.startswith("half") else distance < step
    assert rounded(made, digits, mode) == made


@pytest.mark.parametrize(
    ("amount", "options", "becomes"),
    [
        (Decimal128("100"), {"from": "USD", "to": "EUR"}, "92.2339051835454713152554879"),
        (19.99, {"from": "EUR", "to": "USD"}, "21.673158"),
        (3, {"from": "EUR", "to": "EUR"}, "3"),
        (Int64(10**15), {"from": "EUR", "to": "JPY"}, "161450000000000000.00"),
    ],
)
def test_amounts_are_exchanged_exactly(amount: Any, options: Any, becomes: str) -> None:
    """As Decimal128, to 34 digits where a quotient has no end."""
    found = _of(amount, currency={**options, "rates": RATES})
    assert isinstance(found, Decimal128)
    assert str(found).startswith(becomes)


def test_a_result_is_rounded_once() -> None:
    """Not to 34 digits first, which would make a half of what lies below it."""
    below_a_half = exchanged(Decimal("1." + "0" * 32 + "1"), Decimal(1), Decimal("0.4" + "9" * 32 + "5"))
    assert rounded(below_a_half, 0, "half_up") == 0
    assert rounded(Decimal("0.5"), 0, "half_up") == 1


@given(st.decimals(-(10**15), 10**15, places=2), st.decimals("0.0001", 10**6, places=4))
def test_there_and_back_is_the_same_amount(amount: Decimal, rate: Decimal) -> None:
    """To the cent."""
    there = exchanged(amount, Decimal(1), rate)
    assert rounded(exchanged(there, rate, Decimal(1)), 2, "half_even") == amount


def test_the_currency_is_that_of_each_document() -> None:
    """Before the change and after it; and in what an update set, that of its side."""
    stage = {
        "number": {"fields": ["v"], "currency": {"from_field": "c", "to": "EUR", "rates": {"EUR": 1, "X": 2}}}
    }
    event = change(
        document={"v": 8, "c": "X"},
        before={"v": 8, "c": "EUR"},
        changed={"v": {"old": 8, "new": 8}, "c": {"old": "EUR", "new": "X"}},
    )
    four, eight = Decimal128("4"), Decimal128("8")
    found = become(event, stage)
    assert (found["document"]["v"], found["before"]["v"]) == (four, eight)
    assert found["changed"]["v"] == {"old": eight, "new": four}
    without_images = change(changed={"v": {"old": 8, "new": 8}, "c": {"old": "EUR", "new": "X"}})
    assert become(without_images, stage)["changed"]["v"] == {"old": eight, "new": four}
    unchanged = change(document={"v": 4, "c": "X"}, changed={"v": {"old": 8, "new": 4}})
    assert become(unchanged, stage)["changed"]["v"] == {"old": four, "new": Decimal128("2")}


@pytest.mark.parametrize(
    ("part", "whole", "becomes"),
    [
        (1, 3, 33.3),
        (3.2, 19.99, 16.0),
        (Decimal128("1"), 3, Decimal128("33.3")),
        (1, Decimal128("8"), Decimal128("12.5")),
        (-1, 8, -12.5),
        (None, 8, None),
    ],
)
def test_percentages(part: Any, whole: Any, becomes: Any) -> None:
    """Exact if either number is."""
    found = _of(part, {"w": {"x": whole}}, percentage_of="w.x", round={"digits": 1})
    assert (found, type(found)) == (becomes, type(becomes))


@pytest.mark.parametrize(
    ("value", "label"), [(-5, "small"), (9.99, "small"), (10, 2), (Decimal128("99.9"), 2), (100, None)]
)
def test_ranges(value: Any, label: Any) -> None:
    """A bound belongs to the range above it."""
    ranges = [{"below": 10, "label": "small"}, {"below": "100", "label": 2}]
    assert _of(value, ranges=ranges) == label
    assert _of(value, ranges=ranges, otherwise={"a": 1}) == (label if label is not None else {"a": 1})


@pytest.mark.parametrize(
    ("value", "others", "options", "reason"),
    [
        ("12", {}, {"round": {}}, "text is no finite number"),
        (True, {}, {"round": {}}, "true or false is no finite number"),
        (float("nan"), {}, {"round": {}}, "a number is no finite number"),
        (Int64(2**63 - 1), {}, {"round": {"digits": -3, "mode": "up"}}, "the result has more than 64 bits"),
        (1, {"w": 0.0}, {"percentage_of": "w"}, "w, of which it is a part, is 0"),
        (1, {"w": "x"}, {"percentage_of": "w"}, "w, of which it is a part, is no finite number"),
        (1, {}, {"percentage_of": "w"}, "w, of which it is a part, is no finite number"),
        (1, {"w": 5}, {"currency": {"from_field": "w", "to": "EUR", "rates": RATES}}, "w names no currency"),
        (
            1,
            {"w": "secret"},
            {"currency": {"from_field": "w", "to": "EUR", "rates": RATES}},
            "w names a currency that rates has not",
        ),
        (
            Decimal128("9E+6144"),
            {},
            {"currency": {"from": "EUR", "to": "JPY", "rates": RATES}},
            "the result is too large for Decimal128",
        ),
    ],
)
def test_what_has_no_result(value: Any, others: Any, options: Any, reason: str) -> None:
    """Is told without its value, or is null, or stays."""
    assert _of(value, others, **options) == f"parked: stage number (1): v: {reason}"
    assert _of(value, others, **options, on_invalid="null") is None
    assert repr(_of(value, others, **options, on_invalid="keep")) == repr(value)


def test_very_small_results_are_zero() -> None:
    """As in every arithmetic that has an end."""
    assert typed(Decimal("1E-7000"), Decimal128).to_decimal() == 0


def test_results_go_to_a_target_as_well() -> None:
    """And the number stays."""
    stage = {"number": {"fields": ["v"], "round": {}, "target": "document.r"}}
    assert become(change(document={"v": 1.5}, changed={"v": 1.5}), stage) == {
        "document": {"v": 1.5, "r": 2.0},
        "changed": {"v": 1.5, "r": 2.0},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what is made of it: round, currency, percentage_of, ranges"),
        ({"percentage_of": "b", "ranges": [{"below": 1, "label": 2}]}, "got percentage_of and ranges"),
        ({"ranges": [{"below": 1, "label": 2}], "round": {}}, "a label of ranges cannot be rounded"),
        ({"ranges": [{"below": 1, "label": 2}, {"below": 1, "label": 3}]}, "the ranges must go up"),
        ({"ranges": [{"below": "x", "label": 2}]}, "expected a number of at most 34 digits, got 'x'"),
        ({"ranges": []}, "must not be empty"),
        ({"round": {}, "otherwise": 1}, "otherwise belongs to ranges"),
        ({"round": {"mode": "nearest"}}, "expected 'half_even', 'half_up'"),
        ({"currency": {"to": "EUR", "rates": RATES}}, "from, or from_field"),
        ({"currency": {"from": "EUR", "to": "GBP", "rates": RATES}}, "rates has no GBP"),
        ({"currency": {"from": "A", "to": "A", "rates": {"A": 0}}}, "must be more than 0"),
        (
            {"currency": {"from": "A", "to": "A", "rates": {"A": "NaN"}}},
            "expected a number of at most 34 digits",
        ),
        ({"round": {}, "fields": ["a", "b"], "target": "c"}, "a target takes one field"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """With what there is."""
    assert message in problem({"number": {"fields": ["v"], **options}})
