"""Permits: what flows in, and never more than a second's worth at once."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.rate import Bucket
from eventbus.units import parse_rate
from tests.runtime.clock import run_virtual


def test_a_full_bucket_is_there_at_once_and_the_rest_at_its_rate() -> None:
    """Ten a second: ten now, then one each tenth of a second."""

    async def body() -> list[float]:
        bucket, times = Bucket(10.0), []
        for _ in range(13):
            await bucket.take(1)
            times.append(round(anyio.current_time(), 3))
        return times

    assert run_virtual(body) == [0.0] * 10 + [0.1, 0.2, 0.3]


def test_a_slow_rate_gives_one_at_a_time() -> None:
    """Two a minute: one now, one each half minute; what was not used while idle is not saved up."""

    async def body() -> list[float]:
        bucket, times = Bucket(2 / 60), []
        for pause in (0.0, 0.0, 300.0, 0.0):
            await anyio.sleep(pause)
            await bucket.take(1)
            times.append(round(anyio.current_time(), 3))
        return times

    assert run_virtual(body) == [0.0, 30.0, 330.0, 360.0]


def test_permits_that_were_not_used_are_there_again() -> None:
    """As if they had never been taken."""

    async def body() -> float:
        bucket = Bucket(10.0)
        await bucket.take(10)
        bucket.give_back(10)
        await bucket.take(10)
        return anyio.current_time()

    assert run_virtual(body) == 0.0


@given(
    per_sec=st.sampled_from([0.5, 1.0, 3.0, 7.5, 100.0]),
    takers=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 100)), min_size=1, max_size=20),
)
def test_in_no_stretch_more_than_a_bucket_and_what_flows_in(
    per_sec: float, takers: list[tuple[float, int]]
) -> None:
    """Whoever comes when, and however much they take."""
    taken: list[tuple[float, int]] = []

    async def body() -> None:
        bucket = Bucket(per_sec)

        async def take(at: float, count: int) -> None:
            await anyio.sleep_until(at)
            await bucket.take(count)
            taken.append((anyio.current_time(), count))

        async with anyio.create_task_group() as tasks:
            for at, count in takers:
                tasks.start_soon(take, at, min(count, bucket.size))

    run_virtual(body)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            total = sum(count for _, count in taken[first : last + 1])
            secs = taken[last][0] - taken[first][0]
            assert total <= max(1, int(per_sec)) + per_sec * secs + 1e-6


@pytest.mark.parametrize(
    ("text", "per_sec"), [("50/s", 50.0), ("3000/min", 50.0), ("1.5/s", 1.5), ("36/h", 0.01)]
)
def test_rates_are_written_with_their_unit(text: str, per_sec: float) -> None:
    assert parse_rate(text) == pytest.approx(per_sec)


@pytest.mark.parametrize("text", ["50", 50, "50/m", "-1/s", "/s", "50 / s"])
def test_what_is_no_rate(text: object) -> None:
    with pytest.raises(ValueError, match="a rate above 0 with its unit"):
        parse_rate(text)
