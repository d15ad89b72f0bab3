"""Counts what would become of changes, in bounded memory: outcomes, bytes, keys, pace and a few samples."""

from __future__ import annotations

from array import array
from bisect import insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eventbus.cases.telling import told_message
from eventbus.encoding.avro import RegisteredSchema
from eventbus.model import Event, Message
from eventbus.preview.passage import Fate, Outcome
from eventbus.preview.stretch import Stretch
from eventbus.sinks.fanning_out import parts_of

__all__ = ["Pace", "Tally"]

_MOST_KEYS: Final = 100_000
_MOST_REASONS: Final = 20
_OTHER: Final = "other reasons"
_MINUTE_SECS: Final = 60


class Pace:
    """How many messages fall into each second of a stretch.

    Args:
        stretch: The stretch; it bounds the memory to four bytes a second.
    """

    def __init__(self, stretch: Stretch) -> None:
        self._first = stretch.first
        self._secs = stretch.secs
        self._counts = array("I", [])

    def add(self, second: int, count: int) -> None:
        """So many in a second, as the cluster counts them."""
        place = max(0, second - self._first)
        if place >= len(self._counts):
            self._counts.extend([0] * (place + 1 - len(self._counts)))
        self._counts[place] += count

    @property
    def mean(self) -> float:
        """Messages a second over the whole stretch."""
        return sum(self._counts) / self._secs

    @property
    def busiest_second(self) -> int:
        """The most messages of any second."""
        return max(self._counts, default=0)

    @property
    def busiest_minute(self) -> int:
        """The most messages of any 60 seconds in a row."""
        most = running = 0
        for place, count in enumerate(self._counts):
            running += count
            if place >= _MINUTE_SECS:
                running -= self._counts[place - _MINUTE_SECS]
            most = max(most, running)
        return most


@dataclass(frozen=True, slots=True)
class _Sample:
    """A message that is shown; those with the least ids are, so that every run shows the same."""

    id: str
    event: Event
    message: Message


class Tally:
    """What would become of changes on a route, or in a sink.

    Args:
        stretch: When they were made.
        samples: How many messages to keep for showing.
        schema: Of the messages, if they are Avro.
    """

    def __init__(self, stretch: Stretch, *, samples: int = 0, schema: RegisteredSchema | None = None) -> None:
        self.delivered = 0
        """Changes."""
        self.filtered: Counter[str] = Counter()
        """Changes, by what filters them."""
        self.parked: Counter[str] = Counter()
        """Changes, by the reason."""
        self.messages = 0
        """More than changes where one becomes several."""
        self.size = 0
        """Bytes of the messages' content."""
        self.pace = Pace(stretch)
        self._keys: set[int] = set()
        self._samples: list[_Sample] = []
        self._most_samples = samples
        self._schema = schema

    def add(self, event: Event, fate: Fate) -> None:
        """One change more."""
        match fate.outcome:
            case Outcome.DELIVERED:
                assert fate.message is not None
                self._deliver(event, fate.message)
            case Outcome.FILTERED:
                self.filtered[fate.reason] += 1
            case Outcome.PARKED:
                known = fate.reason in self.parked or len(self.parked) < _MOST_REASONS
                self.parked[fate.reason if known else _OTHER] += 1

    @property
    def keys(self) -> int:
        """How many different keys were delivered; see `has_more_keys`."""
        return len(self._keys)

    @property
    def has_more_keys(self) -> bool:
        """Whether there are more keys than were counted."""
        return len(self._keys) >= _MOST_KEYS

    @property
    def samples(self) -> list[Mapping[str, Any]]:
        """A few messages as they would be sent, in the order of their changes."""
        schema = self._schema.definition if self._schema is not None else None
        chosen = sorted(self._samples, key=lambda sample: sample.event.token)
        return [told_message(part, schema) for sample in chosen for part in parts_of(sample.message)]

    def _deliver(self, event: Event, message: Message) -> None:
        parts = parts_of(message)
        self.delivered += 1
        self.messages += len(parts)
        self.size += sum(len(part.body) for part in parts)
        self.pace.add(event.cluster_time.seconds if event.cluster_time is not None else 0, len(parts))
        if len(self._keys) < _MOST_KEYS:
            self._keys.add(hash(event.key))
        kept = self._samples
        if len(kept) < self._most_samples or (kept and event.id < kept[-1].id):
            insort(kept, _Sample(event.id, event, message), key=lambda sample: sample.id)
            del kept[self._most_samples :]
