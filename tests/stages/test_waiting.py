"""Stages that wait: what is away is waited for, visibly; what is held is released."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from eventbus.errors import Unreachable
from eventbus.model import Slot
from eventbus.stages.pipeline import Pipeline, Step
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.clock import run_virtual
from tests.stages.events import change


class Away:
    """A stage that cannot work a few times; then it can."""

    name = "away"

    def __init__(self, times: int) -> None:
        self.times = times
        self.closed = 0

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `Stage`."""
        if self.times > 0:
            self.times -= 1
            raise Unreachable("nobody answers")
        return slots

    async def close(self) -> None:
        """Count."""
        self.closed += 1
        raise RuntimeError("of no use")


def waits() -> float:
    """How often the stage was tried in vain."""
    labels = {"subscription": "orders", "stage": "away (1)"}
    return REGISTRY.get_sample_value("eventbus_stage_waits_total", labels) or 0.0


def test_what_is_away_is_waited_for_and_nothing_is_parked() -> None:
    """The batch is given again until it can be handled; meanwhile the pipeline says what it waits for."""
    pipeline = Pipeline("orders", [Step("away (1)", Away(3))])
    events = [change(token="8201"), change(token="8202")]
    troubles: list[str | None] = []

    async def applied() -> None:
        before = waits()
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                await anyio.sleep(0.1)
                troubles.append(pipeline.trouble)

            tasks.start_soon(look)
            assert await pipeline.apply(events) is events
        assert waits() - before == 3

    run_virtual(applied)
    assert troubles == ["stage away (1): nobody answers"]
    assert pipeline.trouble is None


def test_a_wait_can_be_given_up() -> None:
    """A drain does not hang on what is away for ever."""
    pipeline = Pipeline("orders", [Step("away (1)", Away(10**6))])

    async def applied() -> bool:
        with anyio.move_on_after(60) as patience:
            await pipeline.apply([change()])
        return patience.cancelled_caught

    assert run_virtual(applied)
    assert pipeline.trouble is None


def test_a_stage_that_cannot_be_closed_keeps_no_other_from_it() -> None:
    """What raises is told, and the next one is closed."""
    stages = [Away(0), Away(0)]
    pipeline = Pipeline("orders", [Step(f"away ({place})", stage) for place, stage in enumerate(stages)])
    run_virtual(pipeline.close)
    assert [stage.closed for stage in stages] == [1, 1]
