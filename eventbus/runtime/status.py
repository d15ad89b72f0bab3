"""What a subscription is doing, for people and for readiness. It asks nobody: all of it is known already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from eventbus.runtime.route import Route
from eventbus.runtime.subscription import Subscription, SubscriptionSpec

__all__ = ["Ending", "SubscriptionStatus", "status_of"]

_PROBATION_SECS: Final = 10.0
"""For so long a life after a crash is not taken for a sound one: a crash loop must not be ready in turns."""
_OUTAGE_SECS: Final = 30.0
"""An open circuit counts from then on: most are closed sooner, and readiness should not flap with them."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """What a subscription is doing, for people and for readiness.

    Args:
        name: Its name.
        state: starting, standby, running, draining, stopped or crashed.
        problems: What keeps it from being ready; empty when it is.
        circuits: Why a route's circuit is not closed, by name of the route.
        paused: Why a route is paused, by name of the route.
        snapshots: How far a route's snapshot has come, by name of the route.
        headroom: How far each route is ahead of what the source forgets, by its name.
        watermarks: The second of cluster time up to which everything is settled, by name of the route.
        tolerated: What is amiss with routes that are not critical, and with dead-letter sinks.
    """

    name: str
    state: str
    problems: Sequence[str]
    circuits: Mapping[str, str] = field(default_factory=dict)
    paused: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)
    headroom: Mapping[str, Any] = field(default_factory=dict)
    watermarks: Mapping[str, int] = field(default_factory=dict)
    tolerated: Sequence[str] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it runs, or stands by for a daemon that runs it, and lacks nothing."""
        return self.state in {"running", "standby"} and not self.problems


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the last life of a subscription ended, if nobody asked it to.

    Args:
        reason: Why, in one line.
        is_crash: Whether it was a fault, and not just the loss of the lease.
    """

    reason: str
    is_crash: bool


def status_of(
    spec: SubscriptionSpec, life: Subscription | None, ending: Ending | None, headroom: Mapping[str, Any]
) -> SubscriptionStatus:
    """What a subscription is doing.

    Args:
        spec: What it is made from.
        life: Its present life, or the last one; None before the first.
        ending: Why the life before, or this one, ended; None if none ended by itself.
        headroom: What is known of its routes' headroom.
    """
    if life is None:
        return SubscriptionStatus(spec.name, "starting", ["not started yet"])
    problems = [problem for problem in (life.waiting_for, life.trouble) if problem]
    if life.state == "crashed":
        problems.append(ending.reason if ending is not None else "crashed")
    elif ending is not None and ending.is_crash and _is_on_probation(life):
        problems.append(f"it crashed a moment ago: {ending.reason}")
    tolerated: list[str] = []
    for name, problem in _of_routes(spec, life):
        is_critical = spec.routes[name.partition("@")[0]].is_critical
        (problems if is_critical else tolerated).append(f"route {name}: {problem}")
    tolerated += _of_dead_letter_sinks(spec, life)
    routes = life.routes
    return SubscriptionStatus(
        spec.name,
        life.state,
        problems,
        circuits={name: route.circuit_reason for name, route in routes.items() if route.circuit_reason},
        paused={name: route.paused for name, route in routes.items() if route.paused},
        snapshots={
            name: f"{snapshot.read} of {snapshot.total} documents read"
            for name, route in routes.items()
            if (snapshot := route.watermark().snapshot) is not None
        },
        headroom=headroom,
        watermarks={
            name: time.seconds
            for name, route in routes.items()
            if not route.is_replay and (time := route.watermark().cluster_time) is not None
        },
        tolerated=tolerated,
    )


def _is_on_probation(life: Subscription) -> bool:
    return life.running_since is not None and anyio.current_time() - life.running_since < _PROBATION_SECS


def _of_routes(spec: SubscriptionSpec, life: Subscription) -> Iterator[tuple[str, str]]:
    """What is amiss, by name of the route."""
    if life.state != "standby":
        for name, made_from in spec.routes.items():
            if made_from.sink.waiting_for:
                yield name, made_from.sink.waiting_for
    for name, route in life.routes.items():
        yield from ((name, problem) for problem in _of_route(route))


def _of_dead_letter_sinks(spec: SubscriptionSpec, life: Subscription) -> Iterator[str]:
    """Those that are not there yet. Nothing waits for them: their copies are made later."""
    if life.state == "standby":
        return
    for name, route in spec.routes.items():
        reason = route.copies_to.sink.waiting_for if route.copies_to is not None else None
        if reason is not None:
            yield f"route {name}: its dead-letter sink: {reason}"


def _of_route(route: Route) -> Iterator[str]:
    if route.not_ours and not route.sink.waiting_for:
        yield route.not_ours
    if route.lost:
        yield route.lost
    since = route.circuit_open_since
    if since is not None and anyio.current_time() - since >= _OUTAGE_SECS and not route.paused:
        yield f"its circuit is open: {route.circuit_reason}"
