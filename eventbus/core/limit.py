"""How much may go out: so many messages a second, so many calls at once."""

from __future__ import annotations

import anyio

from eventbus.core.rate import Bucket

__all__ = ["Limit"]


class Limit:
    """Lets calls through in the order in which they came.

    A call waits for its permits first and takes a place among those under way only then, so that waiting for
    permits keeps nobody else from a place; and only one call at a time has permits that it does not use yet.
    Where there is room nothing is awaited: a turn of the loop for each call would pace all of them.

    Args:
        rate_per_sec: How many messages may go out each second; None for no bound.
        concurrency: How many calls may be under way at once; None for no bound.
        beyond: A wider limit that several of this kind share.
    """

    def __init__(
        self, *, rate_per_sec: float | None, concurrency: int | None, beyond: Limit | None = None
    ) -> None:
        self._bucket = Bucket(rate_per_sec) if rate_per_sec is not None else None
        self._places = anyio.Semaphore(concurrency, fast_acquire=True) if concurrency is not None else None
        self._beyond = beyond
        self._turn = anyio.Lock(fast_acquire=True)

    @property
    def largest_call(self) -> int | None:
        """The most messages that one call may have; None for no bound."""
        own = self._bucket.size if self._bucket is not None else None
        wider = self._beyond.largest_call if self._beyond is not None else None
        return min((size for size in (own, wider) if size is not None), default=None)

    async def enter(self, messages: int) -> None:
        """Wait until a call with so many messages may go out; it is under way until `leave`."""
        if self._bucket is None:
            await self._take_place(messages)
            return
        async with self._turn:
            await self._bucket.take(messages)
            await self._take_place(messages)

    def leave(self) -> None:
        """The call is over."""
        if self._beyond is not None:
            self._beyond.leave()
        self._give_up_place()

    def give_back(self, messages: int) -> None:
        """Put back the permits of a call that had entered and did not go out."""
        if self._bucket is not None:
            self._bucket.give_back(messages)
        if self._beyond is not None:
            self._beyond.give_back(messages)

    async def _take_place(self, messages: int) -> None:
        if self._places is not None:
            await self._places.acquire()
        if self._beyond is None:
            return
        try:
            await self._beyond.enter(messages)
        except BaseException:
            self._give_up_place()
            raise

    def _give_up_place(self) -> None:
        if self._places is not None:
            self._places.release()
