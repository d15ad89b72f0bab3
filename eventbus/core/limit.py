"""How much may go out: so many messages a second, so many calls at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from eventbus.core.rate import Bucket

__all__ = ["Limit"]


class Limit:
    """Lets calls through in the order in which they came.

    A call waits for its permits first and takes a place among those under way only then, so that waiting for
    permits keeps nobody else from a place; and only one call at a time has permits that it does not use yet.

    Args:
        rate_per_sec: How many messages may go out each second; None for no bound.
        concurrency: How many calls may be under way at once; None for no bound.
        beyond: A wider limit that several of this kind share.
    """

    def __init__(
        self, *, rate_per_sec: float | None, concurrency: int | None, beyond: Limit | None = None
    ) -> None:
        self._bucket = Bucket(rate_per_sec) if rate_per_sec is not None else None
        self._places = anyio.Semaphore(concurrency) if concurrency is not None else None
        self._beyond = beyond
        self._turn = anyio.Lock()

    @property
    def largest_call(self) -> int | None:
        """The most messages that one call may have; None for no bound."""
        own = self._bucket.size if self._bucket is not None else None
        wider = self._beyond.largest_call if self._beyond is not None else None
        return min((size for size in (own, wider) if size is not None), default=None)

    @asynccontextmanager
    async def entered(self, messages: int) -> AsyncIterator[None]:
        """Wait until a call with so many messages may go out; inside the block it is under way."""
        async with AsyncExitStack() as inside:
            async with self._turn:
                if self._bucket is not None:
                    await self._bucket.take(messages)
                if self._places is not None:
                    await inside.enter_async_context(self._places)
                if self._beyond is not None:
                    await inside.enter_async_context(self._beyond.entered(messages))
            yield

    def give_back(self, messages: int) -> None:
        """Put back the permits of a call that had entered and did not go out."""
        if self._bucket is not None:
            self._bucket.give_back(messages)
        if self._beyond is not None:
            self._beyond.give_back(messages)
