"""Virtual time: a clock that leaps to the next deadline when every task waits, and an order fixed by a seed.

A run takes no longer than its computing, an hour of outage included, and the same seed gives the same run.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import hypothesis  # noqa: F401 - importing it makes trio's order of tasks a matter of its random generator
from trio._core import _run as trio_run
from trio.testing import MockClock

__all__ = ["run_virtual"]

T = TypeVar("T")


def run_virtual(body: Callable[[], Awaitable[T]], *, seed: int = 0, within_secs: float = 3600.0) -> T:
    """Run to the end in virtual time, which starts at 0.

    Args:
        body: What to run.
        seed: Decides the order in which ready tasks go on.
        within_secs: The most virtual time it may take.

    Raises:
        TimeoutError: It was not over in time.
    """

    async def bounded() -> T:
        with anyio.fail_after(within_secs):
            return await body()

    random.seed(seed)  # tenacity draws from the module's own generator
    trio_run._r.seed(seed)
    clock = MockClock(autojump_threshold=0)
    return anyio.run(bounded, backend="trio", backend_options={"clock": clock})
