"""The account of one route: what it owes, what became of each event, and which rule a step breaks.

It looks at the engine from outside: at what arrives, what is answered, what becomes durable. From inside it
knows the public watermark and admitted position, and at a crash which open events were settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eventbus.model import (
    DeadLetter,
    Delivered,
    Event,
    Failure,
    Fault,
    Origin,
    Outcome,
    Position,
    Rejected,
    Retry,
)
from eventbus.runtime.completeness import WATERMARK
from eventbus.runtime.gap_events import GAP
from eventbus.runtime.policy import Ordering, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.state.gaps import Gap
from tests.runtime.history import Fate, History, fate_of
from tests.runtime.readings import Readings

__all__ = ["Arrival", "RouteLedger", "Stay"]

_ROUNDING_SECS = 1e-6
_LEFT_OUT = {Fate.FILTER, Fate.FORMLESS}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message at the target.

    Args:
        secs: When.
        life: In which life of the daemon.
        event: What.
    """

    secs: float
    life: int
    event: Event


@dataclass(slots=True)
class Stay:
    """What one life of the daemon did on one route.

    Args:
        set_aside: Ids of dead letters that were durable before this life began.
    """

    set_aside: frozenset[str]
    arrived: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    not_before: dict[str, float] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    first_failures: dict[bytes, int] = field(default_factory=dict)
    held: dict[bytes, str] = field(default_factory=dict)
    under_way: set[bytes] = field(default_factory=set)
    latest: dict[bytes, str] = field(default_factory=dict)
    latest_of_all: str = ""
    latest_barrier: str = ""
    answers: int = 0
    settled_when_asked: int = 0
    settled_at_checkpoint: int = 0


class RouteLedger:
    """One route's account over all lives of the daemon.

    Args:
        name: Name of the route.
        policy: What its bounds are.
        history: What happened.
        violated: Told of every broken rule.
        until: The last token that it owes; None for a live route, which owes all that ever happens.
        owes: Whether it owes an event at all; a replay of dead letters owes no others.
        has_letters: Whether a key has dead letters that are neither replayed nor discarded.
        gaps: What is recorded that it will not be given.
        exactly_once: Whether nothing may ever arrive twice.
    """

    def __init__(
        self,
        name: str,
        policy: RoutePolicy,
        history: History,
        violated: Callable[[str], None],
        *,
        until: str | None = None,
        owes: Callable[[Event], bool] | None = None,
        has_letters: Callable[[bytes], bool] = lambda _: True,
        gaps: Callable[[], Sequence[Gap]] = tuple,
        exactly_once: bool = False,
    ) -> None:
        self.exactly_once = exactly_once
        """Whether nothing may ever arrive twice; a scene that takes back what arrived says no."""
        self._ids: set[str] = set()
        self._gaps = gaps
        self.until = until
        self._owes = owes or (lambda _: True)
        self._counts_room = owes is None  # what an earlier life has ended is not offered again
        self._has_letters = has_letters
        self.name = name
        self.policy = policy
        self.arrivals: list[Arrival] = []
        self.statements: list[Event] = []
        self.told_gaps: list[Event] = []
        """What the target was told of gaps, each time."""
        self.letters: dict[str, DeadLetter] = {}
        self.readings = Readings(name, policy.ordering, history, violated)
        self.stored: Position | None = None
        self.owed_after: str | None = None
        self._history = history
        self._violated = violated
        self._passed: dict[str, str] = {}
        self._fronts: dict[object, int] = {}
        self._covered = 0
        self._rewound_to: str | None = None

    # What is owed

    def owed(self) -> list[Event]:
        """Every event that this route must bring to an end: all since its first stored position."""
        if self.owed_after is None:
            return []
        last = None if self.until is None else self._history.after(self.until)
        return self._history.events[self._history.after(self.owed_after) : last]

    def missing(self) -> list[Event]:
        """What has found no end yet."""
        return [event for event in self.owed() if not self.has_passed(event)]

    def is_missing_something(self) -> bool:
        """Whether anything has found no end yet."""
        return self.first_open(self._history.events, "all") is not None

    def first_open(self, events: Sequence[Event], name: object) -> Event | None:
        """The first of these events that has found no end; what has passed once is not looked at again."""
        if self.owed_after is None:
            return None
        front = self._fronts.get(name, 0)
        while front < len(events) and self.has_passed(events[front]):
            front += 1
        self._fronts[name] = front
        return events[front] if front < len(events) else None

    def has_passed(self, event: Event) -> bool:
        """Whether an event is delivered, durably parked or filtered on this route, or is not owed at all."""
        is_owed = self.owed_after is not None and event.token > self.owed_after
        if (self.until is not None and event.token > self.until) or not self._owes(event):
            is_owed = False
        is_settled = event.token in self._passed or fate_of(event) in _LEFT_OUT
        return not is_owed or is_settled or self.is_in_a_gap(event)

    def is_in_a_gap(self, event: Event) -> bool:
        """Whether it is recorded that this route will not be given an event."""
        return any(gap.start.token < event.token <= gap.end.token for gap in self._gaps())

    def times(self, event: Event) -> list[float]:
        """When an event arrived."""
        return [arrival.secs for arrival in self.arrivals if arrival.event.token == event.token]

    # What happens

    def sending(self, stay: Stay, event: Event, now: float) -> None:
        """An attempt with an event begins."""
        is_read_anew = event.operation == "read" and bool(self._gaps())
        if event.id in stay.confirmed and not is_read_anew:
            self._violated(f"{self.name}: {event} is sent again after it was delivered")
        if event.id in self.letters:
            self._violated(f"{self.name}: {event} is sent again after it was parked")
        if event.key in stay.held and self._has_letters(event.key) and self._is_behind_a_letter(event):
            self._violated(f"{self.name}: {event} is sent though its key is held")
        if now < stay.not_before.get(event.token, now) - _ROUNDING_SECS:
            self._violated(f"{self.name}: {event} is sent again sooner than the sink asked for")

    def _is_behind_a_letter(self, event: Event) -> bool:
        """Whether a dead letter of its key comes before it; what is read again from before one may go."""
        letters = (letter.event for letter in self.letters.values())
        return any(letter.key == event.key and letter.token < event.token for letter in letters)

    def arrived(self, stay: Stay, arrival: Arrival, route: Route) -> None:
        """The target has an event."""
        event = arrival.event
        if self.exactly_once and event.operation != WATERMARK and event.id in self._ids:
            self._violated(f"{self.name}: {event} arrives twice")
        self._ids.add(event.id)
        if event.operation == WATERMARK:
            self._check_statement(event)
            return
        if event.operation == GAP:
            self._check_gap(event)
            return
        self._check_due(stay, event)
        if event.token not in self._passed:
            self._check_order(event)
        if event.token not in stay.arrived:
            self._check_order_of_stay(stay, event)
        self.check_window(stay, route)
        self.arrivals.append(arrival)
        self.readings.arrived(event)
        self._passed.setdefault(event.token, "delivered")
        stay.arrived.add(event.token)

    def _check_gap(self, told: Event) -> None:
        """It must be recorded, and stand where the changes would have been."""
        self.told_gaps.append(told)
        assert isinstance(told.document, dict)
        start = told.token.removesuffix("/~gap")
        if not any(gap.start.token == start for gap in self._gaps()):
            self._violated(f"{self.name}: a gap after {start} is told, and not recorded")
        for event in self._history.events[: self._history.after(start)]:
            if not self.has_passed(event):
                self._violated(f"{self.name}: a gap after {start} is told, {event} is not settled")

    def _check_statement(self, statement: Event) -> None:
        """Everything up to what is told must have found its end."""
        self.statements.append(statement)
        token = statement.token.partition(":")[0]
        for event in self._history.events[: self._history.after(token)]:
            if not self.has_passed(event):
                self._violated(f"{self.name}: completeness up to {token} is told, {event} is not settled")

    def answered(self, stay: Stay, event: Event, outcome: Outcome, asked_at: float | None) -> None:
        """The engine learned what became of an attempt, and when it was asked to wait if it was."""
        if isinstance(outcome, Retry) and outcome.after_secs and asked_at is not None:
            stay.not_before[event.token] = asked_at + outcome.after_secs
        match outcome:
            case Delivered():
                stay.answers += 1
                stay.confirmed.add(event.id)
            case Rejected():
                stay.answers += 1
                stay.rejected.add(event.id)
            case Retry(fault=Fault.FAILED):
                stay.failures.setdefault(event.token, []).append(stay.answers)
                stay.first_failures.setdefault(event.key, stay.answers)
            case Retry():
                pass

    def parked(self, stay: Stay, letter: DeadLetter) -> None:
        """A dead letter became durable."""
        event = letter.event
        if event.operation == GAP:
            self.letters.setdefault(event.id, letter)
            return
        if event.id in stay.set_aside:
            self._violated(f"{self.name}: {event} is parked again, though an earlier life parked it")
        if event.id in stay.confirmed:
            self._violated(f"{self.name}: {event} is parked though it was delivered")
        if problem := self._unfounded(stay, letter):
            self._violated(f"{self.name}: {event} is parked: {problem}")
        if self.policy.holds_keys and event.id not in self.letters:  # a lost answer makes it be written again
            if event.token < stay.held.get(event.key, ""):
                self._violated(f"{self.name}: {event} is parked after a later one of its key, which is held")
            stay.held[event.key] = event.token
        self.letters.setdefault(event.id, letter)
        self.readings.parked(event)
        self._passed.setdefault(event.token, "parked")

    def saved(self, position: Position) -> None:
        """A position became durable: invariant (i)."""
        if self.exactly_once and self.owed_after is not None and position.origin is Origin.FRESH:
            return  # where the target has one, that one counts
        if self.owed_after is None:
            self.owed_after = position.token
            self._covered = self._history.after(position.token)
        elif position.token == self._rewound_to:
            self._covered = 0
        elif self.stored is not None and position.token < self.stored.token:
            self._violated(f"{self.name}: the stored position went back to {position.token}")
        self.readings.saved(position)
        self.stored = position
        until = self._history.after(position.token)
        for event in self._history.events[self._covered : until]:
            if not self.has_passed(event):
                self._violated(
                    f"{self.name}: a position at {position.token} is stored, {event} is not settled"
                )
        self._covered = max(self._covered, until)

    def rewound(self, position: Position) -> None:
        """An operator moves the route back to here: what was committed since comes again."""
        self._rewound_to = position.token

    # What must hold at all times

    def check_window(self, stay: Stay, route: Route) -> None:
        """Invariant (iii), seen from outside: what lies between the watermark and what was admitted."""
        first = self._history.after(route.watermark().token)
        last = self._history.after(route.admitted.token)
        within = self._history.events[first:last]
        size = sum(event.size for event in within)
        if len(within) <= self.policy.window_events and size <= self.policy.window_size:
            return  # whatever of it takes no room
        within = [event for event in within if self._takes_room(stay, event)]
        size = sum(event.size for event in within)
        if len(within) > self.policy.window_events:
            self._violated(f"{self.name}: {len(within)} events are open")
        if size > self.policy.window_size and len(within) > 1:
            self._violated(f"{self.name}: {size} bytes in {len(within)} events are open")

    def check_crash(self, stay: Stay, route: Route, stored: Position) -> None:
        """Invariant (iv): what the next life will deliver again.

        The bound is the window and what was settled since the last checkpoint; and what the target has
        without the engine knowing, which belongs to the next window.
        """
        again = {token for token in stay.arrived if token > stored.token}
        unknown = {
            slot.event.token
            for ticket in route._window._tickets
            for slot, settled in zip(ticket.slots, ticket.settled, strict=True)
            if not settled and slot.event.token in stay.arrived
        }
        since = route.settled_events - stay.settled_at_checkpoint
        if len(again) > self.policy.window_events + since + len(unknown):
            self._violated(f"{self.name}: {len(again)} events will be delivered again, {since} settled since")

    def check_drained(self, stay: Stay, route: Route, stored: Position, *, excused: bool) -> None:
        """After a drain nothing is left to be delivered again.

        Args:
            stay: What this life did.
            route: The engine's route.
            stored: The durable position.
            excused: Whether the drain timed out, or the sink was down: a crash for this route.
        """
        if route.open_events:
            if not excused:
                self._violated(f"{self.name}: the drain left {route.open_events} events open")
            return
        if stored.token != route.admitted.token:
            self._violated(f"{self.name}: drained to {route.admitted}, stored {stored}")
        if again := sorted(token for token in stay.arrived if token > stored.token):
            self._violated(f"{self.name}: drained, and {again} will be delivered again")

    def _takes_room(self, stay: Stay, event: Event) -> bool:
        if not self._counts_room or self.is_in_a_gap(event):
            return False
        return fate_of(event) not in _LEFT_OUT and event.id not in stay.set_aside

    def _check_due(self, stay: Stay, event: Event) -> None:
        if fate_of(event) is not Fate.DELIVER:
            self._violated(f"{self.name}: {event} was to {fate_of(event)} and is delivered")
        if self.owed_after is None or event.token <= self.owed_after:
            self._violated(f"{self.name}: {event} is delivered, it lies before the start")
        if self.until is not None and event.token > self.until:
            self._violated(f"{self.name}: {event} is delivered, it lies beyond the end")
        if event.id in self.letters:
            self._violated(f"{self.name}: {event} is delivered though it was parked")

    def _check_order(self, event: Event) -> None:
        """Invariant (ii): the first time that an event arrives, what must come before it has passed."""
        history, ordering = self._history, self.policy.ordering
        before = None
        if event.is_barrier or ordering is Ordering.STRICT:
            before = self.first_open(history.events, "all")
        elif ordering is Ordering.KEY:
            before = self.first_open(history.by_key.setdefault(event.key, []), event.key)
        for other in (before, self.first_open(history.barriers, "barriers")):
            if other is not None and other.token < event.token:
                self._violated(f"{self.name}: {event} overtakes {other}")

    def _check_order_of_stay(self, stay: Stay, event: Event) -> None:
        """The same within one life, where nothing excuses an event that comes after a later one."""
        latest = "" if self.policy.ordering is Ordering.NONE else stay.latest.get(event.key, "")
        if event.is_barrier or self.policy.ordering is Ordering.STRICT:
            latest = stay.latest_of_all
        if event.token < max(latest, stay.latest_barrier):
            self._violated(f"{self.name}: {event} arrives for the first time after a later one")
        stay.latest[event.key] = event.token
        stay.latest_of_all = max(stay.latest_of_all, event.token)
        if event.is_barrier:
            stay.latest_barrier = event.token

    def _unfounded(self, stay: Stay, letter: DeadLetter) -> str | None:
        """Why a dead letter has no good reason; None if it has one."""
        event = letter.event
        if fate_of(event) in {Fate.PARK, Fate.UNENCODABLE} or event.id in stay.rejected:
            return None
        if letter.kind is Failure.HELD:
            return self._wrongly_held(letter)
        failures = stay.failures.get(event.token, [])
        is_old = self.policy.retry.max_age_secs is not None and letter.attempts > 1
        if letter.attempts < self.policy.retry.attempts and not is_old:
            return f"after {letter.attempts} attempts only"
        if len(failures) < letter.attempts:
            return f"for {letter.attempts} attempts, {len(failures)} failed through its fault"
        told = self.policy.ordering is Ordering.STRICT or self._was_told(stay, event)
        if len(set(failures)) < letter.attempts - 1 and not told:
            return f"others got through between {len(set(failures))} of its {len(failures)} failures only"
        return None

    def _was_told(self, stay: Stay, event: Event) -> bool:
        """Whether a good part of a window got through since the first failure of the event's key."""
        return stay.answers - stay.first_failures[event.key] >= max(1, self.policy.window_events // 8)

    def _wrongly_held(self, letter: DeadLetter) -> str | None:
        behind = self.letters.get(letter.held_behind or "")
        if not self.policy.holds_keys or letter.attempts or letter.body is not None:
            return "as held, which it cannot be"
        if behind is None or behind.event.key != letter.event.key or behind.event.token >= letter.event.token:
            return f"behind {letter.held_behind}, which is no earlier dead letter of its key"
        return None
