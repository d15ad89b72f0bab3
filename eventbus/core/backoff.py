"""How long to wait before trying again: exponential with full jitter; and waiting for what must come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from eventbus.errors import Unreachable

__all__ = ["Backoff", "until_reachable"]

T = TypeVar("T")


class Backoff:
    """Delays between tries of one thing: uniform between zero and a bound that doubles.

    Args:
        initial_secs: The first bound.
        max_secs: The bound never grows past it.
        rng: Where the jitter comes from.
    """

    def __init__(self, initial_secs: float, max_secs: float, rng: Random | None = None) -> None:
        self._initial_secs = initial_secs
        self._max_secs = max_secs
        self._rng = rng or Random()
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        bound = min(self._max_secs, self._initial_secs * 2 ** min(self._tries, 60))
        self._tries += 1
        return self._rng.uniform(0, bound)

    def reset(self) -> None:
        """Begin again with the first bound, after a success."""
        self._tries = 0


async def until_reachable(
    call: Callable[[], Awaitable[T]],
    *,
    on_failure: Callable[[Unreachable], None],
    initial_secs: float = 0.2,
    max_secs: float = 5.0,
) -> T:
    """Make a call until what it needs is there, for as long as it takes.

    Args:
        call: What to do; made at least once.
        on_failure: Told of every failure, so that somebody can say what is being waited for.
        initial_secs: Bound of the first wait.
        max_secs: Bound of every wait.

    Returns:
        What the first call that did not raise Unreachable returned.
    """
    try:
        return await call()
    except Unreachable as error:
        on_failure(error)

    async def once_more() -> T:
        return await call()  # tenacity awaits only what it knows for a coroutine function, such as no lambda

    def report(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, Unreachable):
            on_failure(failure)

    # A new object for each call: tenacity keeps the state of a try in the object, not in the task.
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unreachable),
        wait=wait_random_exponential(multiplier=initial_secs, max=max_secs),
        before_sleep=report,
        sleep=anyio.sleep,
        reraise=True,
    )
    await anyio.sleep(initial_secs)
    return await retrying(once_more)
