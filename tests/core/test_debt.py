"""What a route owes the others: idle waits in full, work that was its alone in part, other work never."""

from __future__ import annotations

import pytest

from eventbus.core.debt import Debt


def owed_after(secs: float, share: float, *, worked: float, alone: bool) -> float:
    """What is owed after so long, if others wait for that share of each second."""
    debt = Debt()
    for second in range(round(secs)):
        debt.add(share, second + 1.0, worked_secs=worked * share, alone=alone)
    return debt.owed(secs)


def test_a_wait_in_which_nothing_else_is_done_is_owed_and_forgiven_at_a_tenth() -> None:
    """The last second's share is not forgiven yet."""
    assert owed_after(1, 0.3, worked=0.0, alone=True) == pytest.approx(0.3)
    assert owed_after(11, 0.3, worked=0.0, alone=False) == pytest.approx(0.3 + 10 * 0.2)
    assert owed_after(100, 0.09, worked=0.0, alone=True) == pytest.approx(0.09)


def test_work_that_others_take_part_in_is_not_owed() -> None:
    """Whoever waits, waits for the processor; what of the wait was idle is owed all the same."""
    assert owed_after(100, 0.9, worked=1.0, alone=False) == 0.0
    assert owed_after(11, 1.0, worked=0.7, alone=False) == pytest.approx(0.3 + 10 * 0.2)


def test_work_that_is_the_routes_alone_is_owed_from_a_half_of_the_time_on() -> None:
    """Below that the others would have less by a reader of their own."""
    assert owed_after(1000, 0.49, worked=1.0, alone=True) < 0.1
    assert owed_after(100, 0.6, worked=1.0, alone=True) > 1.0


def test_a_sink_that_hangs_in_a_busy_process_is_found_out_all_the_same() -> None:
    """It owes a tenth of the time."""
    assert owed_after(10, 1.0, worked=1.0, alone=True) == pytest.approx(1.1)


def test_a_clock_that_runs_ahead_makes_nobody_a_creditor() -> None:
    """The two clocks are read one after the other."""
    debt = Debt()
    debt.add(0.1, 1.0)
    debt.add(0.1, 1.0, worked_secs=5.0, alone=False)
    assert debt.owed(1.0) == pytest.approx(0.1)
