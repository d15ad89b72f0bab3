"""Rounds of many are made at the same moments."""

from __future__ import annotations

import anyio
import pytest

from eventbus.core.rounds import next_round

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    import trio.testing

    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_whoever_begins_when_wakes_at_the_same_moments() -> None:
    woken: list[float] = []
    begun = anyio.current_time()

    async def make_rounds(late_secs: float) -> None:
        await anyio.sleep(late_secs)
        for _ in range(3):
            await next_round(2.0)
            woken.append(round(anyio.current_time(), 6))

    async with anyio.create_task_group() as tasks:
        for late_secs in (0.0, 0.3, 1.1):
            tasks.start_soon(make_rounds, late_secs)
    assert len(woken) == 9
    assert all(moment % 2.0 == 0.0 for moment in woken)
    assert max(woken) - begun <= 8.0
