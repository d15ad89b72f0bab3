"""What a route was told about patience and size, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eventbus.core.circuit import CircuitPolicy
from eventbus.model import Event, Parked, Slot, Taken

__all__ = ["Ordering", "RetryPolicy", "RoutePolicy"]


class Ordering(StrEnum):
    """What an event waits for on its route. Barriers are kept in any case."""

    KEY = "key"
    """For the earlier events of its key."""
    NONE = "none"
    """For nothing but a free lane."""
    STRICT = "strict"
    """For every earlier event."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """An event's budget on one route.

    Args:
        attempts: Failed tries that cost the event before it becomes a dead letter.
        initial_delay_secs: Bound of the first wait between two tries; it doubles.
        max_delay_secs: Bound of every wait.
        max_age_secs: How long after its first failure that cost it an event may still be tried; None for
            as long as it has tries. Outages do not count.
    """

    attempts: int = 5
    initial_delay_secs: float = 0.1
    max_delay_secs: float = 5.0
    max_age_secs: float | None = None


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """How one route behaves.

    Args:
        retry: The budget of each event.
        circuit: When the route stops trying a sink that is down.
        window_events: The most events between the watermark and the last admitted one.
        window_size: The most bytes of them.
        lanes: How many ordered workers; None for the sink's own number.
        batch_events: The most events in a call; None for the sink's own bound.
        batch_size: The most bytes in a call, but for a single larger event; None for the sink's own bound.
        batch_wait_secs: How long an event may wait for others to fill its call.
        priority: Which events go before others in their lane, though never before an earlier one of their
            key; None for none. Not together with a strict ordering.
        ordering: What an event waits for.
        rate_per_sec: How many messages may go out each second; None for no bound but the sink's.
        concurrency: How many calls may be under way at once; None for no bound but the sink's.
        holds_keys: Whether later events of a key wait behind its dead letter, as dead letters themselves;
            not together with an ordering of none.
        config: Names the version of the configuration, for dead letters.
        letter_retention_secs: How long dead letters are kept; None for ever.
        watermark_every_secs: How often the sink is told up to when everything is settled; None for never.
        when: Makes of an event that is taken itself, or Filtered, or Parked; None to take all.
        transform: Makes of an event what is encoded of it; None for itself.
        prepare: In place of `transform` where it matters what was taken before: makes, for one life of the
            route, what is given all events that are taken, each once and in their order, and gives back those
            that are left. None where it does not matter.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)
    window_events: int = 4096
    window_size: int = 64 << 20
    lanes: int | None = None
    batch_events: int | None = None
    batch_size: int | None = None
    batch_wait_secs: float = 0.0
    priority: Callable[[Event], bool] | None = None
    ordering: Ordering = Ordering.KEY
    rate_per_sec: float | None = None
    concurrency: int | None = None
    holds_keys: bool = False
    config: str = ""
    letter_retention_secs: float | None = None
    watermark_every_secs: float | None = None
    when: Callable[[Event], Slot] | None = None
    transform: Callable[[Event], Slot] | None = None
    prepare: Callable[[], Callable[[Sequence[Event | Parked]], Sequence[Taken]]] | None = None
