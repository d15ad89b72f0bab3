"""Which changes of state are told: each once, and of what comes and goes no more than anybody can read.

Within the interval after a problem was told, another one of the same thing is held. If it is over before the
interval is, nobody hears of it; else it is told then, with the number of changes since. So of one thing there
are at most a problem and its end in each interval, and what was told last is never wrong for longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from eventbus.notices.kinds import KINDS, Nature
from eventbus.telemetry.notices import Notice, NoticeKind

__all__ = ["Changes", "Told"]

_Subject: TypeAlias = tuple[str, str, str]
"""What a state is of: topic, subscription, and route or sink."""


@dataclass(frozen=True, slots=True)
class Told:
    """A notice that is to be told.

    Args:
        notice: The notice.
        since: When what it tells came about, in seconds since 1970.
        began: When the problem came about that it ends; None if it ends none.
        changes: How many changes of this state it stands for, itself included.
    """

    notice: Notice
    since: float
    began: float | None = None
    changes: int = 1


@dataclass(slots=True)
class _State:
    """What is known of one subject."""

    told: Told | None = None
    told_at: float = -inf
    """When the last problem or event was told, on the caller's clock."""
    held: tuple[Notice, float] | None = None
    changes: int = 0
    """Since the last one was told."""


class Changes:
    """Decides what is told. It never waits itself: moments are the caller's.

    Args:
        min_interval_secs: The shortest time between two problems of one thing.
        on_suppressed: Told of each held notice of which nobody will hear.
    """

    def __init__(self, min_interval_secs: float, on_suppressed: Callable[[NoticeKind], None]) -> None:
        self.min_interval_secs = min_interval_secs
        self._on_suppressed = on_suppressed
        self._states: dict[_Subject, _State] = {}
        self._held: set[_Subject] = set()

    def noticed(self, notice: Notice, now: float, since: float) -> Told | None:
        """Something has changed, perhaps not for the first time.

        Args:
            notice: What.
            now: The present moment.
            since: The same in seconds since 1970.

        Returns:
            What is to be told now, if anything.
        """
        subject, nature = _subject(notice), KINDS[notice.kind].nature
        state = self._states.setdefault(subject, _State())
        last = state.told.notice.kind if state.told is not None else None
        if nature in {Nature.PROBLEM, Nature.EVENT}:
            is_known = last is notice.kind or state.held is not None
            if nature is Nature.PROBLEM and is_known:
                return None
            state.changes += 1
            if now < state.told_at + self.min_interval_secs:
                self._hold(subject, state, notice, since)
                return None
            return self._tell(state, notice, since, now)
        if state.held is not None:
            state.changes += 1
            self._let_go(subject, state)
        only_ends = nature is Nature.RECOVERY or notice.only_ends
        if last is notice.kind or (only_ends and last is None):
            return None
        state.changes += 1
        return self._tell(state, notice, since)

    def due(self, now: float) -> list[Told]:
        """What was held for long enough, and still is so."""
        found = []
        for subject in sorted(self._held):
            state = self._states[subject]
            if state.held is not None and now >= state.told_at + self.min_interval_secs:
                notice, since = state.held
                self._held.discard(subject)
                state.held = None
                found.append(self._tell(state, notice, since, now))
        return found

    @property
    def next_due(self) -> float:
        """When to ask again what is due; infinite while nothing is held."""
        moments = (self._states[subject].told_at + self.min_interval_secs for subject in self._held)
        return min(moments, default=inf)

    def last(self, topic: str, subscription: str, name: str) -> NoticeKind | None:
        """What was told last of a route or sink; None if nothing was."""
        state = self._states.get((topic, subscription, name))
        return state.told.notice.kind if state is not None and state.told is not None else None

    def forget(self, subscription: str, route: str) -> None:
        """A subscription, or one route of it, is no more."""
        for subject in list(self._states):
            if subject[1] == subscription and (not route or subject[2].partition("@")[0] == route):
                del self._states[subject]
                self._held.discard(subject)

    def clear(self) -> None:
        """Nobody listens any more: what was told counts no longer."""
        for subject in list(self._held):
            self._let_go(subject, self._states[subject])
        self._states.clear()

    def _hold(self, subject: _Subject, state: _State, notice: Notice, since: float) -> None:
        if state.held is not None:
            self._on_suppressed(state.held[0].kind)
        state.held = notice, since
        self._held.add(subject)

    def _let_go(self, subject: _Subject, state: _State) -> None:
        assert state.held is not None
        self._on_suppressed(state.held[0].kind)
        state.held = None
        self._held.discard(subject)

    def _tell(self, state: _State, notice: Notice, since: float, problem_at: float | None = None) -> Told:
        before = state.told
        ends = before is not None and KINDS[before.notice.kind].nature is Nature.PROBLEM
        began = before.since if before is not None and ends and problem_at is None else None
        state.told = Told(notice, since, began, state.changes)
        state.told_at = state.told_at if problem_at is None else problem_at
        state.changes = 0
        return state.told


def _subject(notice: Notice) -> _Subject:
    name = notice.route if notice.subscription else notice.sink
    return KINDS[notice.kind].topic, notice.subscription, name
