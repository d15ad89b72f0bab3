"""Several calls at once, a bounded number of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import anyio

from eventbus.sdk import Unreachable

__all__ = ["at_once"]

T = TypeVar("T")
R = TypeVar("R")


async def at_once(items: Sequence[T], most: int, work: Callable[[T], Awaitable[R]]) -> list[R]:
    """What comes of each item, in their order. Where one call at a time is allowed, no task is made.

    Args:
        items: What to do.
        most: How many calls are under way at once at most.
        work: Called with each.

    Raises:
        Unreachable: The first that a call raised; no further call was begun, and those under way have ended.
    """
    done: dict[int, R] = {}
    away: list[Unreachable] = []
    waiting: Iterator[tuple[int, T]] = enumerate(items)

    async def work_on() -> None:
        for place, item in waiting:
            try:
                done[place] = await work(item)
            except Unreachable as error:
                away.append(error)
            if away:
                return

    if min(most, len(items)) <= 1:
        await work_on()
    else:
        async with anyio.create_task_group() as tasks:
            for _ in range(min(most, len(items))):
                tasks.start_soon(work_on)
    if away:
        raise away[0]
    return [done[place] for place in range(len(items))]
