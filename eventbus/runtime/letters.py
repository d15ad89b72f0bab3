"""What a route tells the store of dead letters: what it parks, and deliveries that the store waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from eventbus.model import DeadLetter, Event, Failure
from eventbus.state.store import Store

__all__ = ["Letters", "LettersOfReplay", "LiveLetters", "OnlyParked", "Park"]

Park: TypeAlias = Callable[[Sequence[DeadLetter]], Awaitable[None]]
"""Stores dead letters durably; raises Unreachable while it cannot."""


class Letters(Protocol):
    """A route's way to the store of dead letters."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Make dead letters durable, all or none; the same ones may come again.

        Raises:
            Unreachable: They may not be durable. They are handed over again until they are.
        """

    @property
    def awaits_any(self) -> bool:
        """Whether there may be an event that `awaits` is true of."""

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

    @property
    def awaits_any(self) -> bool:
        """See `Letters`."""
        return False

    def awaits(self, event: Event) -> bool:  # noqa: ARG002 - see `Letters`
        """See `Letters`."""
        return False

    async def delivered(self, events: Sequence[Event]) -> None:
        """See `Letters`."""
        raise AssertionError(events)


class LiveLetters:
    """Letters of a live route: the first newer event of a key that goes out is noted on its dead letters.

    Args:
        store: Where they are.
        subscription: Name of the subscription.
        route: Name of the route.
        dead: `Event.key_hash` of the keys that have dead letters on which no such event is noted yet.
        park: Stores new ones.
    """

    def __init__(
        self, store: Store, subscription: str, route: str, dead: Collection[int], *, park: Park
    ) -> None:
        self._store = store
        self._park = park
        self._subscription = subscription
        self._route = route
        self._dead = set(dead)

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `Letters`."""
        await self._park(letters)
        self._dead.update(letter.event.key_hash for letter in letters if _has_key(letter))

    @property
    def awaits_any(self) -> bool:
        """See `Letters`."""
        return bool(self._dead)

    def awaits(self, event: Event) -> bool:
        """See `Letters`."""
        return event.key_hash in self._dead

    async def delivered(self, events: Sequence[Event]) -> None:
        """See `Letters`."""
        for event in events:
            if event.key_hash in self._dead:
                await self._store.supersede_letters(self._subscription, self._route, event)
                self._dead.discard(event.key_hash)


class LettersOfReplay:
    """Letters of an operation that sends dead letters once more: what is delivered ends them.

    Args:
        store: Where they are.
        subscription: Name of the subscription.
        route: Name of the route on which they were parked.
        operation: Id of the operation.
    """

    def __init__(self, store: Store, subscription: str, route: str, operation: str) -> None:
        self._store = store
        self._subscription = subscription
        self._route = route
        self._operation = operation

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `Letters`."""
        there = [replace(letter, route=self._route) for letter in letters]
        await self._store.park_again(there, operation=self._operation)

    @property
    def awaits_any(self) -> bool:
        """See `Letters`."""
        return True

    def awaits(self, event: Event) -> bool:  # noqa: ARG002 - every one of them
        """See `Letters`."""
        return True

    async def delivered(self, events: Sequence[Event]) -> None:
        """See `Letters`."""
        ended = [(self._route, event.id) for event in events]
        await self._store.conclude_letters(self._subscription, ended, operation=self._operation)


def _has_key(letter: DeadLetter) -> bool:
    """Whether the event's key can be computed: garbage for a document key is among the reasons to park."""
    try:
        return bool(letter.event.key) and letter.kind is not Failure.HELD
    except Exception:  # noqa: BLE001 - see above
        return False
