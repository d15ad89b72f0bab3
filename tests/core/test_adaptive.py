"""The limit that follows what a target bears, without any target."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.adaptive import AdaptiveConcurrency

answers = st.tuples(st.sampled_from(["answered", "refused"]), st.floats(0.0, 10.0))


def calm(limit: AdaptiveConcurrency, count: int, secs: float = 0.02) -> None:
    """Answers that all take the same time, with the limit in use."""
    for _ in range(count):
        limit.answered(secs, limit.limit)


@given(most=st.integers(1, 200), course=st.lists(answers, max_size=200))
def test_it_stays_between_one_and_the_most(most: int, course: list[tuple[str, float]]) -> None:
    """Whatever happens: a limit of nothing would never learn that the target is back."""
    limit, now = AdaptiveConcurrency(most), 0.0
    for what, secs in course:
        before, now = limit.limit, now + secs
        if what == "refused":
            limit.refused(now - secs, now)
            assert limit.limit <= before
        else:
            limit.answered(secs, limit.limit)
            assert before <= limit.limit <= before + 1
        assert 1 <= limit.limit <= most


@given(most=st.integers(1, 100), secs=st.floats(0.0, 5.0))
def test_it_grows_to_the_most_while_latency_holds(most: int, secs: float) -> None:
    """And stays there."""
    limit = AdaptiveConcurrency(most)
    calm(limit, most, secs)
    assert limit.limit == most


@given(most=st.integers(2, 100), refusals=st.integers(1, 50))
def test_a_burst_of_refusals_shrinks_it_once(most: int, refusals: int) -> None:
    """Calls that were under way together all say the same thing."""
    limit = AdaptiveConcurrency(most)
    calm(limit, most)
    for place in range(refusals):
        limit.refused(1.0, 2.0 + place)
    assert limit.limit == max(1, int(most * 0.7))
    limit.refused(2.0 + refusals, 3.0 + refusals)
    assert limit.limit == max(1, int(most * 0.7 * 0.7))


def test_it_does_not_grow_while_answers_take_longer() -> None:
    """More at once would only wait at the target's."""
    limit = AdaptiveConcurrency(100)
    calm(limit, 6)
    reached = limit.limit
    for _ in range(20):
        limit.answered(0.5, limit.limit)
    assert limit.limit <= reached + 3  # one slow answer is no trend
    slow = limit.limit
    for _ in range(100):
        limit.answered(0.5, limit.limit)
    assert limit.limit == slow


def test_it_grows_slowly_once_it_has_met_a_bound() -> None:
    """One more for each round of calls, where it was one more for each call."""
    limit = AdaptiveConcurrency(100)
    calm(limit, 16)
    assert limit.limit == 20
    limit.refused(1.0, 2.0)
    assert limit.limit == 14
    calm(limit, 14)
    assert limit.limit in {14, 15}
    calm(limit, 2)
    assert limit.limit == 15


def test_it_does_not_grow_unused() -> None:
    """An idle night proves nothing about the morning."""
    limit = AdaptiveConcurrency(100)
    for _ in range(1000):
        limit.answered(0.02, 1)
    assert limit.limit == 4


def test_a_target_that_has_become_slower_for_good_is_taken_as_it_is() -> None:
    """Otherwise one fast answer would bind it for ever."""
    limit = AdaptiveConcurrency(50)
    limit.answered(0.001, 1)
    calm(limit, 5000, 0.05)
    assert limit.limit == 50
