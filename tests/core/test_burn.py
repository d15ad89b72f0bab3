"""How fast something shrinks is told from minutes, not from the last look."""

from __future__ import annotations

from math import inf

import pytest

from eventbus.core.burn import Burn


def _looked(stocks: list[float], every_secs: float = 10.0) -> Burn:
    burn = Burn(over_secs=60.0)
    for number, stock in enumerate(stocks):
        burn.look(number * every_secs, stock)
    return burn


def test_nobody_knows_at_first() -> None:
    """Neither before a look nor after one."""
    assert (Burn().rate, Burn().left_secs) == (0.0, inf)
    assert (_looked([100.0]).rate, _looked([100.0]).left_secs) == (0.0, inf)


def test_a_steady_loss_is_told_exactly() -> None:
    """A route that stands still while the oplog has its full size loses a second each second."""
    burn = _looked([1000.0 - 10 * number for number in range(30)])
    assert burn.rate == pytest.approx(1.0)
    assert burn.left_secs == pytest.approx(710.0)


def test_steps_are_a_rate() -> None:
    """The server drops its oldest entries many at a time: nothing for long, then much at once."""
    steps = [1000.0 - 30 * (number // 3) for number in range(40)]
    rates = [_looked(steps[:looks]).rate for looks in range(20, 40)]
    assert min(rates) >= 0.9
    assert max(rates) <= 1.1


def test_what_grows_or_stays_lasts_for_ever() -> None:
    """So does what has stopped to shrink, once the last minutes say so."""
    assert _looked([10.0, 20.0, 30.0]).left_secs == inf
    assert _looked([10.0, 20.0, 30.0]).rate == pytest.approx(-1.0)
    burn = _looked([1000.0 - 10 * number for number in range(10)] + [910.0] * 7)
    assert (burn.rate, burn.left_secs) == (0.0, inf)


def test_what_is_gone_has_no_time_left() -> None:
    """Not less than none."""
    assert _looked([10.0, -10.0]).left_secs == 0.0


def test_two_looks_at_one_moment_are_no_division_by_zero() -> None:
    """A clock may be coarse."""
    assert _looked([10.0, 5.0], every_secs=0.0).rate == 0.0


def test_looks_are_not_gathered_for_ever() -> None:
    """No more than the stretch needs."""
    assert len(_looked([1.0] * 1000)._looks) <= 8
