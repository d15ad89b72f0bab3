"""The harness of a sink whose target is a list, for as long as it is up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

import anyio

from eventbus.sdk import Sink
from eventbus.testing import Received

__all__ = ["ListHarness"]

S_co = TypeVar("S_co", bound=Sink, covariant=True)


class _ListTarget(Protocol):
    up: bool
    taken: list[Received]


class ListHarness(Generic[S_co]):
    """See `eventbus.testing.TargetOutage`.

    Args:
        target: What the sinks write to.
        make: Makes one of them.
    """

    def __init__(self, target: _ListTarget, make: Callable[[], S_co]) -> None:
        self._target = target
        self._make = make

    def make_sink(self) -> S_co:
        return self._make()

    async def received(self) -> Sequence[Received]:
        return list(self._target.taken)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._target.up = False
        try:
            await anyio.sleep(0.05)
            yield
        finally:
            self._target.up = True
