"""A route's open tickets: what was admitted, what is settled, and how far everything is settled.

A ticket covers a contiguous slice of a batch and holds one byte for each event, so that a position and the
number of duplicates after a crash are exact to the event at the price of slices.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, repeat
from typing import Final, NamedTuple

from eventbus.model import Event, Position, Taken

__all__ = ["Entry", "Ticket", "Window"]


class Entry(NamedTuple):
    """One event that is open on a route.

    Args:
        ticket: The ticket that covers it.
        place: Its place in the ticket's slice.
        slot: The event, with what stages have made of it or why they parked it.
        event: The event.
    """

    ticket: Ticket
    place: int
    slot: Taken
    event: Event


_entry: Final[Callable[[tuple[Ticket, int, Taken, Event]], Entry]] = partial(tuple.__new__, Entry)
"""The class's own ``__new__`` is a function in Python; this is none."""


class Ticket:
    """The open entry of a slice of events in a window.

    Args:
        slots: What is to be settled, in source order; filtered slots of the slice are not among them.
        end: Everything up to here is covered once the slice is settled. Heartbeats raise it.
        read_at: When the batch that has them was read, in seconds of the loop's clock.
    """

    __slots__ = ("end", "events", "open", "read_at", "settled", "size", "slots")

    def __init__(self, slots: Sequence[Taken], end: Position, read_at: float = 0.0) -> None:
        self.slots = slots
        self.events = [slot.event for slot in slots]
        self.end = end
        self.size = sum([event.size for event in self.events])
        """Bytes of the events."""
        self.read_at = read_at
        self.settled = bytearray(len(slots))
        self.open = len(slots)

    def position_before(self, index: int) -> Position | None:
        """The position just before an event of the slice; None if that lies before the slice."""
        return self.events[index - 1].position if index else None

    def entries(self) -> list[Entry]:
        """Its events, each as an entry of its own, in source order."""
        return list(map(_entry, zip(repeat(self), count(), self.slots, self.events)))


class Window:
    """Bounds what a route holds open, and knows its watermark.

    What counts against the bounds is everything between the watermark and the last admitted event: so the
    window also bounds the duplicates after a crash.

    Args:
        start: The watermark to begin with.
        events: The most events between the watermark and the last admitted one.
        size: The most bytes of them; one larger event is still let in alone.
    """

    def __init__(self, start: Position, *, events: int, size: int) -> None:
        self._end = start
        self._tickets: deque[Ticket] = deque()
        self._max_events = events
        self._max_size = size
        self.events = 0
        self.size = 0
        self._covered = 0
        self._admitted = 0
        self.settled_events = 0
        """How many events were ever settled; it tells a saver whether a save is worth its while."""
        self.grain = max(1, events // 8)
        """The most events that one ticket may cover, so that room comes back in parts."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is open."""
        return not self._tickets

    @property
    def is_full(self) -> bool:
        """Whether not even one more event fits."""
        return self.events >= self._max_events or self.size >= self._max_size

    @property
    def is_half_empty(self) -> bool:
        """Whether at least half of it is free, by events and by bytes."""
        return 2 * self.events <= self._max_events and 2 * self.size <= self._max_size

    def fitting(self, sizes: Sequence[int], first: int, last: int) -> int:
        """How many slots from `first`, before `last`, one ticket may cover now; 0 if there is no room.

        Args:
            sizes: The bytes before each slot (see `Batch.sizes`).
            first: Place of the first slot.
            last: Place behind the last one.
        """
        if self.is_full:
            return 0
        last = min(last, first + self._max_events - self.events, first + self.grain)
        left = self._max_size - self.size
        count = bisect_right(sizes, sizes[first] + left, first, last + 1) - 1 - first
        return count or (0 if self._tickets else 1)

    def open(self, slots: Sequence[Taken], end: Position, read_at: float = 0.0) -> Ticket:
        """Open a ticket for a slice that was found to fit, of a batch that was read at that time."""
        ticket = Ticket(slots, end, read_at)
        self._tickets.append(ticket)
        self.events += len(slots)
        self._admitted += len(slots)
        self.size += ticket.size
        return ticket

    def advance(self, end: Position) -> None:
        """Cover a stretch without open events: it belongs to the last open ticket, or to the watermark.

        It opens no ticket of its own; otherwise one hanging event would gather them without bound.
        """
        if self._tickets:
            self._tickets[-1].end = end
        else:
            self._end = end

    def settle(self, entries: Sequence[Entry]) -> bool:
        """Mark events as delivered, parked or filtered.

        Returns:
            Whether room came back.
        """
        for entry in entries:
            ticket, place = entry[0], entry[1]
            if ticket.settled[place]:
                raise AssertionError(f"settled twice: {entry.slot!r}")
            ticket.settled[place] = 1
            ticket.open -= 1
        self.settled_events += len(entries)
        return self._pop()

    def watermark(self) -> Position:
        """The end of the longest settled prefix."""
        if not self._tickets:
            return self._end
        front = self._tickets[0]
        return front.position_before(front.settled.index(0)) or self._end

    @property
    def unsettled(self) -> int:
        """How many events are not settled yet."""
        return self._admitted - self.settled_events

    def covered(self) -> int:
        """How many events lie before the watermark, filtered ones not counted, since the window was made."""
        return self._covered + (self._tickets[0].settled.index(0) if self._tickets else 0)

    def _pop(self) -> bool:
        popped = False
        while self._tickets and not self._tickets[0].open:
            ticket = self._tickets.popleft()
            self._end = ticket.end
            self._covered += len(ticket.slots)
            self.events -= len(ticket.slots)
            self.size -= ticket.size
            popped = True
        return popped
