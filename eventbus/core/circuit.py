"""Whether a sink is worth an attempt now: closed, open until a moment, or trying with one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import inf

__all__ = ["Circuit", "CircuitPolicy", "CircuitState"]


class CircuitState(IntEnum):
    """The value is what the gauge shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When a circuit opens and for how long.

    Args:
        failures: Attempts in a row that must fail before it opens.
        initial_open_secs: How long it stays open the first time; it doubles with each failed probe.
        max_open_secs: The longest it stays open.
        pause_after_secs: How long every attempt must have failed until trying is of no use; None for ever.
    """

    failures: int = 5
    initial_open_secs: float = 1.0
    max_open_secs: float = 60.0
    pause_after_secs: float | None = None


class Circuit:
    """A state machine over moments in seconds that the caller gives; it never waits itself."""

    def __init__(self, policy: CircuitPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._openings = 0
        self._open_until: float | None = None
        self._failing_since: float | None = None
        self.reason = ""
        """Why it is not closed, for people."""
        self.open_since: float | None = None
        """When it was opened; None while it is closed."""
        self.outages = 0
        """How often it has opened."""

    def state(self, now: float) -> CircuitState:
        """What holds at a moment."""
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._open_until else CircuitState.HALF_OPEN

    def is_closed(self) -> bool:
        """Whether attempts may go out freely."""
        return self._open_until is None

    @property
    def open_until(self) -> float:
        """The moment from which on one probe may go out; in the past if it is closed."""
        return -inf if self._open_until is None else self._open_until

    def succeeded(self) -> bool:
        """An attempt got an answer about its messages.

        Returns:
            Whether this closed the circuit.
        """
        was_open = self._open_until is not None
        self._failures = self._openings = 0
        self._open_until = self._failing_since = self.open_since = None
        self.reason = ""
        return was_open

    def is_hopeless(self, now: float) -> bool:
        """Whether every attempt has failed for as long as the policy bears."""
        bearable_secs = self._policy.pause_after_secs
        since = self._failing_since
        return bearable_secs is not None and since is not None and now - since >= bearable_secs

    def hope(self) -> None:
        """Somebody says that trying is of use again: count the time of failure anew."""
        self._failing_since = None

    def failed(
        self, now: float, reason: str, *, after_secs: float | None = None, at_once: bool = False
    ) -> bool:
        """An attempt failed for no fault of its messages.

        Args:
            now: The present moment.
            reason: Why, for people.
            after_secs: How long the sink asked us to wait.
            at_once: Open without waiting for more failures.

        Returns:
            Whether this opened a closed circuit.
        """
        was_closed = self._open_until is None
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = now
        if was_closed and not at_once and after_secs is None and self._failures < self._policy.failures:
            return False
        if not was_closed and self.state(now) is CircuitState.OPEN:
            return False  # a straggler of before: it says nothing new
        open_secs = min(
            self._policy.max_open_secs, self._policy.initial_open_secs * 2 ** min(self._openings, 60)
        )
        self._openings += 1
        self._open_until = now + max(open_secs, after_secs or 0.0)
        self.reason = reason
        self.outages += was_closed
        self.open_since = now if was_closed else self.open_since
        return was_closed
