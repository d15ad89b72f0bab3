"""How long each route may still wait: how far its watermark lies ahead of what the source forgets.

One look for all subscriptions whose sources forget alike, since they read one cluster. It never gets in the
way: what cannot be asked is not known, and said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isinf

import anyio
import structlog

from eventbus.core.burn import Burn
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import ClusterTime
from eventbus.runtime.route import Route
from eventbus.sdk import Source
from eventbus.telemetry import metrics, notices, progress

__all__ = ["Headroom", "Outlook"]

log = structlog.get_logger("eventbus.headroom")

_LOOK_SECS = 10.0
_FIRST_LOOK_SECS = 1.0
"""While nothing runs here."""
_AT_EASE = 1.5
"""A route that was in danger is out of it when all is well by this factor; so a warning comes once."""

Running = Callable[[], Mapping[str, Mapping[str, Route]]]
"""The routes that run here, by name of the subscription and of the route."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of one route.

    Args:
        secs: Seconds of cluster time between its watermark and the oldest change that the source has.
        rate: How much of that is lost each second.
        left_secs: When its position will be lost at that rate, in seconds; infinite if never.
    """

    secs: float
    rate: float
    left_secs: float


@dataclass(slots=True)
class _Watched:
    """A route under observation, until it is made anew."""

    route: Route
    burn: Burn = field(default_factory=Burn)
    is_in_danger: bool = False


class Headroom:
    """Looks at all routes now and then.

    Args:
        sources: The sources, by name of the subscription.
        running: The routes that run here.
        warn_below_secs: When a route is in danger.
    """

    def __init__(self, sources: Mapping[str, Source], running: Running, *, warn_below_secs: float) -> None:
        self._sources = sources
        self._running = running
        self._warn_below_secs = warn_below_secs
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._first_oldest: dict[type, ClusterTime] = {}
        self._complained = False
        self.outlooks: dict[tuple[str, str], Outlook] = {}
        """What was seen last, by names of subscription and route."""

    async def run(self) -> None:
        """Look, until cancelled."""
        with progress.reported("the look at the headroom"):
            while True:
                progress.expected(_LOOK_SECS)
                await self._look()
                await anyio.sleep(_LOOK_SECS if self._watched else _FIRST_LOOK_SECS)

    def of(self, subscription: str) -> dict[str, dict[str, float | None]]:
        """What was seen last of the routes of one subscription, for people."""
        return {
            route: {
                "secs": round(outlook.secs),
                "burn_rate": round(outlook.rate, 3),
                "left_secs": None if isinf(outlook.left_secs) else round(outlook.left_secs),
            }
            for (name, route), outlook in self.outlooks.items()
            if name == subscription
        }

    async def _look(self) -> None:
        running = self._running()
        seen = {
            (name, route.name): route
            for name, routes in running.items()
            for route in routes.values()
            if not route.is_replay
        }
        for gone in self._watched.keys() - seen.keys():
            del self._watched[gone]
            self.outlooks.pop(gone, None)
        sources = {name: self._sources[name] for name in running}
        for kind in {type(source) for source in sources.values()}:
            names = [name for name, source in sources.items() if type(source) is kind]
            oldest = await self._oldest(sources[names[0]])
            if oldest is not None:
                is_full = oldest > self._first_oldest.setdefault(kind, oldest)
                still = self._running()
                for (name, _), route in seen.items():
                    if name in names and still.get(name, {}).get(route.name) is route:
                        self._look_at(name, route, oldest, is_full=is_full)

    async def _oldest(self, source: Source) -> ClusterTime | None:
        """When the oldest change was committed that the source has; None if that is not known now."""
        try:
            oldest = await source.oldest()
        except Unreachable as error:
            log.debug("headroom_not_read", reason=str(error))
            return None
        except ConfigurationError as error:
            if not self._complained:
                log.warning("headroom_unknown", reason=str(error))
            self._complained = True
            return None
        return oldest.cluster_time

    def _look_at(self, subscription: str, route: Route, oldest: ClusterTime, *, is_full: bool) -> None:
        """See how one route stands.

        Args:
            subscription: Name of the subscription.
            route: The route.
            oldest: When the oldest change was committed that the source has.
            is_full: Whether the source was seen to forget: one that has just begun to remember has little
                to show, and nothing to lose.
        """
        watermark = route.watermark().cluster_time
        if watermark is None:
            return
        key = (subscription, route.name)
        watched = self._watched.get(key)
        if watched is None or watched.route is not route:
            watched = self._watched[key] = _Watched(route)
        secs = float(watermark.seconds - oldest.seconds)
        watched.burn.look(anyio.current_time(), secs)
        outlook = self.outlooks[key] = Outlook(secs, watched.burn.rate, watched.burn.left_secs)
        metrics.headroom(
            subscription, route.name, seconds=secs, burn_rate=outlook.rate, left_seconds=outlook.left_secs
        )
        self._warn(subscription, watched, outlook, is_full=is_full)

    def _warn(self, subscription: str, watched: _Watched, outlook: Outlook, *, is_full: bool) -> None:
        least = min(outlook.secs, outlook.left_secs) if is_full else outlook.left_secs
        notices.headroom_seen(
            subscription,
            watched.route.name,
            least,
            secs=outlook.secs,
            burn_rate=outlook.rate,
            left_secs=outlook.left_secs,
        )
        if least < self._warn_below_secs and not watched.is_in_danger:
            watched.is_in_danger = True
            log.warning(
                "headroom_low",
                subscription=subscription,
                route=watched.route.name,
                headroom_secs=round(outlook.secs),
                burn_rate=round(outlook.rate, 3),
                left_secs=None if isinf(outlook.left_secs) else round(outlook.left_secs),
            )
        elif least > _AT_EASE * self._warn_below_secs:
            watched.is_in_danger = False
