"""Changes of state that operators are told of: a named function notices each, beside its line in the log.

Whoever listens decides what is told, and to whom; nothing waits for it. Where nobody listens nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from math import isinf
from typing import Any, Protocol

__all__ = [
    "Listener",
    "Notice",
    "NoticeKind",
    "RouteNotices",
    "forgotten",
    "gap_recorded",
    "headroom_seen",
    "heard_by",
    "lease_lost",
    "lease_taken_over",
    "position_found",
    "position_lost",
    "reload_done",
    "reload_refused",
    "route_detached",
    "route_merged",
    "route_paused",
    "route_resumed",
    "sink_opened",
    "sink_waiting",
    "subscription_crashed",
    "subscription_started",
    "subscription_stopped",
]


class NoticeKind(StrEnum):
    """What a notice is about, in the words that users write."""

    SUBSCRIPTION_STARTED = "subscription_started"
    SUBSCRIPTION_STOPPED = "subscription_stopped"
    SUBSCRIPTION_CRASHED = "subscription_crashed"
    LEASE_LOST = "lease_lost"
    LEASE_TAKEN_OVER = "lease_taken_over"
    ROUTE_DETACHED = "route_detached"
    ROUTE_MERGED = "route_merged"
    CIRCUIT_OPENED = "circuit_opened"
    CIRCUIT_CLOSED = "circuit_closed"
    ROUTE_PAUSED = "route_paused"
    ROUTE_RESUMED = "route_resumed"
    POSITION_LOST = "position_lost"
    POSITION_FOUND = "position_found"
    GAP_RECORDED = "gap_recorded"
    HEADROOM_LOW = "headroom_low"
    HEADROOM_BACK = "headroom_back"
    DEAD_LETTERS_ABOVE = "dead_letters_above"
    DEAD_LETTERS_BELOW = "dead_letters_below"
    SINK_WAITING = "sink_waiting"
    SINK_OPENED = "sink_opened"
    RELOAD_DONE = "reload_done"
    RELOAD_REFUSED = "reload_refused"


@dataclass(frozen=True, slots=True)
class Notice:
    """One change of state.

    Args:
        kind: What it is.
        reason: Why, for people; it may be empty.
        subscription: Name of the subscription; empty if it concerns none.
        route: Name of the route; empty if it concerns none, or all of them.
        sink: Name of the sink; empty if it concerns none.
        details: What else is known, by name.
        only_ends: Whether it is of no interest but as the end of a problem that was told.
    """

    kind: NoticeKind
    reason: str = ""
    subscription: str = ""
    route: str = ""
    sink: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    only_ends: bool = False


class Listener(Protocol):
    """Whoever is told. It takes note and returns; it never raises."""

    def noticed(self, notice: Notice) -> None:
        """Something has changed; perhaps it is known already."""

    def headroom_seen(self, least_secs: float, notice: Notice) -> None:
        """A route may still wait for so long; the notice is the one to give if that is too short."""

    def parked(self, subscription: str, route: str) -> None:
        """A route has further dead letters."""

    def forgotten(self, subscription: str, route: str) -> None:
        """A subscription, or one route of it, is no more."""


_LISTENING: ContextVar[Listener | None] = ContextVar("notices", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Have somebody told of all that the body does, and the tasks that are started in it."""
    before = _LISTENING.set(listener)
    try:
        yield
    finally:
        _LISTENING.reset(before)


class RouteNotices:
    """The notices of one route's deliveries.

    Args:
        subscription: Name of the subscription.
        route: Name of the route. Those of all replays into its sink go by one name.
        sink: Name of its sink.
    """

    def __init__(self, subscription: str, route: str, sink: str) -> None:
        live, at, _ = route.partition("@")
        self._subscription = subscription
        self._live = live
        self._route = f"{live}@replay" if at else live
        self._sink = sink

    def circuit_opened(self, reason: str, *, fault: str, kind: str) -> None:
        """Nothing is sent for a while."""
        self._circuit(NoticeKind.CIRCUIT_OPENED, reason, fault=fault, failure=kind)

    def circuit_closed(self) -> None:
        """The sink answers, whatever was told before."""
        self._circuit(NoticeKind.CIRCUIT_CLOSED)

    def parked(self) -> None:
        """The route has further dead letters."""
        listener = _LISTENING.get()
        if listener is not None:
            listener.parked(self._subscription, self._live)

    def _circuit(self, kind: NoticeKind, reason: str = "", **details: str) -> None:
        _tell(Notice(kind, reason, self._subscription, self._route, self._sink, details))


def subscription_started(subscription: str) -> None:
    """Its routes are fed from now on."""
    _tell(Notice(NoticeKind.SUBSCRIPTION_STARTED, subscription=subscription))


def subscription_stopped(subscription: str) -> None:
    """It has drained, since it was asked to."""
    _tell(Notice(NoticeKind.SUBSCRIPTION_STOPPED, subscription=subscription))


def subscription_crashed(subscription: str, reason: str) -> None:
    """It ended by a fault, and is started again."""
    _tell(Notice(NoticeKind.SUBSCRIPTION_CRASHED, reason, subscription))


def lease_lost(subscription: str, reason: str) -> None:
    """Another daemon runs it, or may run it."""
    _tell(Notice(NoticeKind.LEASE_LOST, reason, subscription))


def lease_taken_over(subscription: str, *, stood_by: bool) -> None:
    """It is run here from now on.

    Args:
        subscription: Name of the subscription.
        stood_by: Whether another daemon had it; if not, it matters only to those who think so.
    """
    _tell(Notice(NoticeKind.LEASE_TAKEN_OVER, subscription=subscription, only_ends=not stood_by))


def route_detached(subscription: str, route: str, reason: str) -> None:
    """A route left the reader that feeds the others."""
    _tell(Notice(NoticeKind.ROUTE_DETACHED, reason, subscription, route))


def route_merged(subscription: str, route: str) -> None:
    """The main reader feeds a route, whatever was told before."""
    _tell(Notice(NoticeKind.ROUTE_MERGED, subscription=subscription, route=route))


def route_paused(subscription: str, route: str, reason: str) -> None:
    """A route sends nothing until somebody resumes it."""
    _tell(Notice(NoticeKind.ROUTE_PAUSED, reason, subscription, route))


def route_resumed(subscription: str, route: str) -> None:
    """A route sends again."""
    _tell(Notice(NoticeKind.ROUTE_RESUMED, subscription=subscription, route=route))


def position_lost(subscription: str, route: str, reason: str) -> None:
    """The source has no more what a route needs next, and the route rests."""
    _tell(Notice(NoticeKind.POSITION_LOST, reason, subscription, route))


def position_found(subscription: str, route: str) -> None:
    """A route goes on, whatever was told before."""
    _tell(Notice(NoticeKind.POSITION_FOUND, subscription=subscription, route=route))


def gap_recorded(
    subscription: str, route: str, reason: str, *, policy: str, start: str | None, end: str | None, secs: int
) -> None:
    """A stretch of changes will not come.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        reason: Why.
        policy: What made it go on.
        start: Cluster time before it, if that is known.
        end: Cluster time of its end, if that is known.
        secs: Its length in cluster time.
    """
    details = {"policy": policy, "from": start, "to": end, "secs": secs}
    _tell(Notice(NoticeKind.GAP_RECORDED, reason, subscription, route, details=details))


def headroom_seen(
    subscription: str, route: str, least_secs: float, *, secs: float, burn_rate: float, left_secs: float
) -> None:
    """A look at how long a route may still wait.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        least_secs: The shortest of what can be said of it, in seconds.
        secs: Cluster time between its watermark and the oldest change that is left.
        burn_rate: How much of that is lost each second.
        left_secs: When the position will be lost at that rate; infinite if never.
    """
    listener = _LISTENING.get()
    if listener is None:
        return
    details = {
        "headroom_secs": round(secs),
        "burn_rate": round(burn_rate, 3),
        "left_secs": None if isinf(left_secs) else round(left_secs),
    }
    notice = Notice(NoticeKind.HEADROOM_LOW, subscription=subscription, route=route, details=details)
    listener.headroom_seen(least_secs, notice)


def sink_waiting(sink: str, reason: str) -> None:
    """A sink cannot be opened yet."""
    _tell(Notice(NoticeKind.SINK_WAITING, reason, sink=sink))


def sink_opened(sink: str) -> None:
    """A sink is open, whatever was told before."""
    _tell(Notice(NoticeKind.SINK_OPENED, sink=sink))


def reload_done(**changed: Sequence[str]) -> None:
    """Another configuration is in force; names of subscriptions and sinks, by what became of them."""
    _tell(Notice(NoticeKind.RELOAD_DONE, details={name: list(names) for name, names in changed.items()}))


def reload_refused(problems: Sequence[str]) -> None:
    """Another configuration was not put in force."""
    _tell(Notice(NoticeKind.RELOAD_REFUSED, "; ".join(problems)))


def forgotten(subscription: str, route: str = "") -> None:
    """A subscription, or one route of it, is no more: what was told of it counts no longer."""
    listener = _LISTENING.get()
    if listener is not None:
        listener.forgotten(subscription, route)


def _tell(notice: Notice) -> None:
    listener = _LISTENING.get()
    if listener is not None:
        listener.noticed(notice)
