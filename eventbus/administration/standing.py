"""How a route stands, in one word, and what an operator types next. It decides; it asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventbus.administration.seen import RouteSeen, SubscriptionSeen
from eventbus.doctor.oplog import Oplog
from eventbus.model import Position
from eventbus.state.store import Holder

__all__ = ["Facts", "standing"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a route.

    Args:
        subscription: Name of its subscription.
        route: Its name.
        sink: Name of its sink.
        position: Its stored position; None if it has none.
        paused: Why it is paused; None if it is not.
        is_paused_with_all: Whether the pause is one of the whole subscription.
        holder: Who holds the subscription's lease; None if nobody does.
        seen: The subscription as the daemon sees it; None if none that knows of it answers.
        oplog: The oplog; None if it cannot be asked.
        dead_letters: How many are parked.
        gaps: How many it has.
        warn_below_secs: How little headroom is little.
    """

    subscription: str
    route: str
    sink: str
    position: Position | None = None
    paused: str | None = None
    is_paused_with_all: bool = False
    holder: Holder | None = None
    seen: SubscriptionSeen | None = None
    oplog: Oplog | None = None
    dead_letters: int = 0
    gaps: int = 0
    warn_below_secs: float = 3600.0

    @property
    def seen_route(self) -> RouteSeen:
        """The route as the daemon sees it; nothing but defaults if it does not."""
        return self.seen.routes.get(self.route, RouteSeen()) if self.seen is not None else RouteSeen()

    @property
    def headroom_secs(self) -> int | None:
        """How far it is ahead of what the source forgets."""
        if self.seen_route.headroom_secs is not None:
            return self.seen_route.headroom_secs
        if self.oplog is None or self.position is None or self.position.cluster_time is None:
            return None
        return self.position.cluster_time.seconds - self.oplog.first

    @property
    def left_secs(self) -> int | None:
        """When its position will be lost, if all goes on as it does; None if never, or not known."""
        if self.seen_route.headroom_secs is not None:
            return self.seen_route.left_secs
        if self.headroom_secs is None or self.oplog is None or self.holder is not None:
            return None
        return self.headroom_secs + round(max(0.0, self.oplog.full_secs - self.oplog.secs))

    @property
    def is_lost(self) -> bool:
        """Whether the source no longer has what comes after its position."""
        return self.headroom_secs is not None and self.headroom_secs < 0


def standing(facts: Facts, now: datetime) -> dict[str, Any]:
    """The row of a route: what people read, and programs."""
    state, why, to_do = next(_states(facts))
    watermark = facts.seen_route.watermark
    time = facts.position.cluster_time if facts.position is not None else None
    return {
        "subscription": facts.subscription,
        "route": facts.route,
        "state": state,
        "owner": facts.holder.instance if facts.holder is not None else None,
        "lag_secs": max(0, round(now.timestamp()) - watermark) if watermark else None,
        "position_age_secs": max(0, round(now.timestamp()) - time.seconds) if time is not None else None,
        "headroom_secs": facts.headroom_secs,
        "left_secs": facts.left_secs,
        "dead_letters": facts.dead_letters,
        "gaps": facts.gaps,
        "why": why or None,
        "next": to_do or _aside(facts) or None,
    }


def _states(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """What is true of it: in one word, why, and what to type; the worst first."""
    named = f"{facts.subscription} --route {facts.route}"
    route, seen = facts.seen_route, facts.seen
    if facts.is_lost:
        why = "the oplog no longer has what comes after its position"
        yield "position lost", why, f"eventbus position set {named} --to oldest"
    if facts.paused is not None:
        whole = facts.is_paused_with_all
        yield "paused", facts.paused, f"eventbus resume {facts.subscription if whole else named}"
    if facts.holder is None:
        yield "nobody runs it", _problem(facts), "eventbus run"
    if seen is None or seen.state == "standby":
        yield "held", "", ""
        return
    if seen.state == "crashed":
        yield "crashed", _problem(facts), f"eventbus doctor {facts.subscription}"
    if route.circuit:
        yield "circuit open", route.circuit, f"eventbus sink test {facts.sink}"
    if route.problem:
        yield "waiting", route.problem, f"eventbus sink test {facts.sink}"
    if seen.problems:
        yield "waiting", _problem(facts), f"eventbus doctor {facts.subscription}"
    if route.snapshot:
        yield "snapshot", route.snapshot, ""
    yield seen.state, "", ""


def _problem(facts: Facts) -> str:
    return facts.seen_route.problem or "; ".join(facts.seen.problems if facts.seen is not None else ())


def _aside(facts: Facts) -> str:
    """What to type about a route that goes on."""
    if facts.left_secs is not None and facts.left_secs < facts.warn_below_secs:
        return f"eventbus doctor {facts.subscription}"
    if facts.dead_letters:
        return f"eventbus dlq list --subscription {facts.subscription} --route {facts.route}"
    if facts.gaps:
        return f"eventbus gaps {facts.subscription} --route {facts.route}"
    return ""
