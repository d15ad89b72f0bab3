"""Rates as people write them."""

from __future__ import annotations

import pytest

from eventbus.units import parse_rate


@pytest.mark.parametrize(
    ("written", "per_second"), [("50/s", 50.0), ("0.5/s", 0.5), ("3000/min", 50.0), ("1800/h", 0.5)]
)
def test_a_rate_is_events_a_second(written: str, per_second: float) -> None:
    """Whatever unit it was written in."""
    assert parse_rate(written) == pytest.approx(per_second)


@pytest.mark.parametrize("written", ["50", "/s", "-1/s", "50/d", "50 / s", "0/s", "", 50, None])
def test_what_is_no_rate(written: object) -> None:
    """The form is named; a rate of nothing would stand still for ever."""
    with pytest.raises(ValueError, match="expected a rate above 0 with its unit, such as 50/s"):
        parse_rate(written)
