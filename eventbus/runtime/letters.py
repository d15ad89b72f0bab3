"""What a route tells the store of dead letters: what it parks, and deliveries that the store waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from eventbus.model import DeadLetter, Event

__all__ = ["Letters", "OnlyParked", "Park"]

Park: TypeAlias = Callable[[Sequence[DeadLetter]], Awaitable[None]]
"""Stores dead letters durably; raises Unreachable while it cannot."""


class Letters(Protocol):
    """A route's way to the store of dead letters."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Make dead letters durable, all or none; the same ones may come again.

        Raises:
            Unreachable: They may not be durable. They are handed over again until they are.
        """

    def awaits(self, event: Event) -> bool:
        """Whether the store must hear that this event was delivered before it counts as settled.

        Asked once for each event, after its delivery.
        """

    async def delivered(self, events: Sequence[Event]) -> None:
        """Take note of deliveries that are awaited; the same ones may come again.

        Raises:
            Unreachable: It may not have been noted. They are handed over again until it is.
        """


class OnlyParked:
    """Letters of a route whose deliveries nobody waits for."""

    def __init__(self, park: Park) -> None:
        self._park = park

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `Letters`."""
        await self._park(letters)

    def awaits(self, event: Event) -> bool:  # noqa: ARG002 - see `Letters`
        """See `Letters`."""
        return False

    async def delivered(self, events: Sequence[Event]) -> None:
        """See `Letters`."""
        raise AssertionError(events)
