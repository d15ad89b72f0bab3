"""What should be rare may be done so often, and then rests."""

from __future__ import annotations

from eventbus.core.recurrence import Recurrence


def test_it_is_spent_after_so_many_within_the_time() -> None:
    """And is to be had again when the first of them is long ago, one at a time."""
    recurrence = Recurrence(2, 10.0)
    assert not recurrence.is_spent(0.0)
    recurrence.note(0.0)
    assert not recurrence.is_spent(1.0)
    recurrence.note(4.0)
    assert recurrence.is_spent(4.0)
    assert recurrence.is_spent(9.9)
    assert not recurrence.is_spent(10.0)
    recurrence.note(10.0)
    assert recurrence.is_spent(13.9)
    assert not recurrence.is_spent(14.0)
