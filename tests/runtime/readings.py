"""The account of what one route is given of documents that are there already: all of them, and none stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eventbus.model import Event, Position, Snapshot
from eventbus.runtime.policy import Ordering
from tests.runtime.history import Fate, History, fate_of
from tests.runtime.splicing import version_of

__all__ = ["Readings"]


@dataclass(slots=True)
class _Owed:
    """What a snapshot owes a route.

    Args:
        since: Token of the moment at which it was wanted.
        keys: The documents that were there.
        passed: Those that were delivered or parked as they were read.
    """

    since: str
    keys: Sequence[str]
    passed: set[str] = field(default_factory=set)


class Readings:
    """One route's account of documents over all lives of the daemon.

    Args:
        route: Name of the route.
        ordering: What its events wait for.
        history: What happened.
        violated: Told of every broken rule.
    """

    def __init__(
        self, route: str, ordering: Ordering, history: History, violated: Callable[[str], None]
    ) -> None:
        self.arrivals: list[Event] = []
        """Documents as they were read, in the order in which they came, every time they did."""
        self._route = route
        self._is_ordered = ordering is not Ordering.NONE
        self._history = history
        self._violated = violated
        self._owed: dict[str, _Owed] = {}
        self._newest_change: dict[bytes, str] = {}
        self._newest_read: dict[bytes, str] = {}
        self._changes: set[str] = set()
        self._last: dict[bytes, str] = {}
        self._parked: set[bytes] = set()

    def wanted(self, snapshot_id: str, token: str, *, scope: bytes = b"") -> None:
        """A snapshot is wanted from a moment on."""
        versions = self._history.versions(self._history.after(token))
        keys = sorted(key for key in versions if not scope or key.encode() < scope)
        self._owed.setdefault(snapshot_id, _Owed(token, keys))

    def arrived(self, event: Event) -> None:
        """The target has an event: a document that was read, or a change."""
        if event.operation == "read":
            self._check_fresh(event)
            self.arrivals.append(event)
            self.passed(event)
        elif event.token not in self._changes:
            self._changes.add(event.token)
            if event.token <= self._newest_read.get(event.key, "") and self._is_ordered:
                self._violated(f"{self._route}: {event} comes after a reading that knows of it")
            self._newest_change[event.key] = max(event.token, self._newest_change.get(event.key, ""))
        self._last[event.key] = version_of(event) if event.operation == "read" else event.token

    def parked(self, event: Event) -> None:
        """An event became a dead letter."""
        self._parked.add(event.key)
        self.passed(event)

    def check_last(self, is_given_up: Callable[[Event], bool]) -> None:
        """At the end: the last that the target was given of each key is the newest that there is.

        Args:
            is_given_up: Whether a change lies in a gap: of a document that was deleted there nothing tells.
        """
        for key, version in self._last.items():
            changes = self._history.by_key.get(key, [])
            is_clear = key not in self._parked and all(fate_of(event) is Fate.DELIVER for event in changes)
            if not self._is_ordered or not is_clear or not changes or is_given_up(changes[-1]):
                continue
            if version != changes[-1].token:
                self._violated(f"{self._route}: the last of {key!r} is {version}, not {changes[-1]}")

    def passed(self, event: Event) -> None:
        """A document has found its end as it was read."""
        if event.snapshot is not None and event.operation == "read":
            self._owed[event.snapshot.id].passed.add(event.key.decode())

    def saved(self, position: Position) -> None:
        """A position became durable: what its snapshot has behind it has found its end."""
        snapshot = position.snapshot
        if snapshot is None:
            return
        self.wanted(snapshot.id, position.token, scope=snapshot.scope)
        if missing := self._missing(snapshot.id, snapshot):
            self._violated(f"{self._route}: {snapshot} is stored, {missing} were not read")

    def missing(self, snapshot_id: str) -> Sequence[str]:
        """The documents of a snapshot that have found no end, and did not change since it was wanted."""
        return self._missing(snapshot_id, Snapshot(snapshot_id, is_finished=True))

    def _missing(self, snapshot_id: str, reached: Snapshot) -> Sequence[str]:
        owed = self._owed[snapshot_id]
        after = (reached.after or b"").decode()
        due = [key for key in owed.keys if reached.is_finished or key <= after]
        return [key for key in due if key not in owed.passed and not self._is_excused(key, owed.since)]

    def _is_excused(self, key: str, since: str) -> bool:
        changed = self._history.by_key.get(key.encode(), [])
        is_left_out = self._history.documents.get(key) in {Fate.FILTER, Fate.FORMLESS}
        return is_left_out or (bool(changed) and changed[-1].token > since)

    def _check_fresh(self, read: Event) -> None:
        version = version_of(read)
        if version < self._newest_change.get(read.key, "") and self._is_ordered:
            self._violated(f"{self._route}: {read} is stale: a newer change has arrived")
        self._newest_read[read.key] = max(version, self._newest_read.get(read.key, ""))
