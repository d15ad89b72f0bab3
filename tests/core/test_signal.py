"""Signals: whoever waits now is woken, whoever comes later waits for the next one."""

from __future__ import annotations

import anyio

from eventbus.core.signal import Signal
from tests.runtime.clock import run_virtual


def test_all_who_wait_are_woken_once() -> None:
    """Two wait; one notification wakes both; the next wait needs another one."""

    async def body() -> list[tuple[str, float]]:
        signal = Signal()
        woken: list[tuple[str, float]] = []

        async def wait_twice(name: str) -> None:
            for _ in range(2):
                await signal.wait()
                woken.append((name, anyio.current_time()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_twice, "one")
            tasks.start_soon(wait_twice, "other")
            await anyio.sleep(1)
            signal.notify()
            await anyio.sleep(1)
            signal.notify()
        return sorted(woken)

    assert run_virtual(body) == [("one", 1.0), ("one", 2.0), ("other", 1.0), ("other", 2.0)]


def test_a_notification_is_not_kept_for_later() -> None:
    """Who waits after it waits for the next: the condition is to be looked at first."""

    async def body() -> bool:
        signal = Signal()
        signal.notify()
        with anyio.move_on_after(5) as patience:
            await signal.wait()
        return patience.cancelled_caught

    assert run_virtual(body)


def test_a_waiter_that_gave_up_does_not_keep_the_others_from_waking() -> None:
    """One is cancelled; the other is woken."""

    async def body() -> float:
        signal = Signal()
        async with anyio.create_task_group() as tasks:

            async def give_up() -> None:
                with anyio.move_on_after(1):
                    await signal.wait()

            async def notify() -> None:
                await anyio.sleep(2)
                signal.notify()

            tasks.start_soon(give_up)
            tasks.start_soon(notify)
            await signal.wait()
        return anyio.current_time()

    assert run_virtual(body) == 2.0
