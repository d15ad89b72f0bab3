"""What would become of each route at a start, by what is stored and what the server says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pymongo import AsyncMongoClient

from eventbus.administration.names import route_names
from eventbus.administration.pausing import paused_by
from eventbus.administration.positions import written
from eventbus.assembly import shared_sinks, spec_of
from eventbus.config import Config
from eventbus.errors import ConfigurationError, PositionLost
from eventbus.model import Position
from eventbus.runtime.snapshot_records import without_ended
from eventbus.runtime.start import fresh_positions
from eventbus.sdk import OnPositionLost, SnapshotMode, SnapshotSource, Source, SourcePolicy
from eventbus.servers import source_of
from eventbus.sources.mongodb.collections import MongoCollections
from eventbus.sources.mongodb.resumption import Resumption
from eventbus.sources.mongodb.source import MongoSource
from eventbus.state.operations import Control
from eventbus.state.store import Holder, Store

__all__ = ["Planned", "Prospect", "planned"]


class Prospect(StrEnum):
    """What becomes of a route at the start."""

    KEPT = "kept"
    REOPENED = "reopened at cluster time"
    SNAPSHOT = "snapshot"
    NEW = "new"
    LOST = "position lost"
    PAUSED = "paused"
    ORPHANED = "orphaned"

    @property
    def is_agreed_to(self) -> bool:
        """Whether it needs nobody's consent: nothing is lost, left behind or read anew."""
        return self not in {Prospect.LOST, Prospect.ORPHANED, Prospect.SNAPSHOT}


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one route.

    Args:
        subscription: Name of its subscription.
        route: Its name.
        prospect: What becomes of it.
        why: In a sentence.
        next: What to type, or to write; empty if nothing is to be done.
        position: Where it goes on, or would if it could; None if the source is yet to be asked.
        documents: How many documents a snapshot would read, by the server's own counters; None without one.
        paused: Why it is paused; None if it is not.
        holder: Who runs the subscription now; None if nobody does.
    """

    subscription: str
    route: str
    prospect: Prospect
    why: str
    next: str = ""
    position: Position | None = None
    documents: int | None = None
    paused: str | None = None
    holder: Holder | None = None

    def row(self) -> dict[str, Any]:
        """The same for programs."""
        time = self.position.cluster_time if self.position is not None else None
        return {
            "subscription": self.subscription,
            "route": self.route,
            "prospect": self.prospect.value,
            "position": datetime.fromtimestamp(time.seconds, UTC).isoformat() if time is not None else None,
            "documents": self.documents,
            "paused": self.paused,
            "owner": self.holder.instance if self.holder is not None else None,
            "why": self.why,
            "next": self.next or None,
        }


_STARTS: Final = {
    "now": "it has no position yet and begins with what comes from now on",
    "oldest": "it has no position yet and begins with the oldest change that MongoDB still has",
    "subscription": "it has no position yet and begins where the most advanced of the other routes stands",
}


async def planned(
    config: Config, store: Store | None, client: AsyncMongoClient[Any], only: str | None = None
) -> list[Planned]:
    """What becomes of each route of a configuration, and of what is stored of others.

    Args:
        config: The configuration.
        store: Where positions are; None if there is none yet.
        client: The client to ask with.
        only: Name of the only subscription to look at; None for all.

    Raises:
        Unreachable: A server does not answer.
        ConfigurationError: MongoDB refuses a subscription.
    """
    stored = await store.subscriptions() if store is not None else []
    names = list(dict.fromkeys([*config.subscriptions, *stored]))
    names = [name for name in names if only is None or name == only]
    controls = await store.controls(names) if store is not None else {}
    holders = await store.holders(names) if store is not None else {}
    rows: list[Planned] = []
    for name in names:
        positions = await without_ended(store, await store.positions(name)) if store is not None else {}
        paused = controls.get(name, Control()).paused
        subscription = _Subscription(config, name, client, positions, paused, holders.get(name))
        if name in config.subscriptions:
            rows += await subscription.rows()
        rows += subscription.orphans()
    return rows


class _Subscription:
    """One subscription, configured or not.

    Args:
        config: The configuration.
        name: Its name.
        client: The client to ask with.
        stored: Stored positions by name of the route.
        paused: Why routes are paused.
        holder: Who runs it now.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        client: AsyncMongoClient[Any],
        stored: Mapping[str, Position],
        paused: Mapping[str, str],
        holder: Holder | None,
    ) -> None:
        self._config = config
        self._name = name
        self._client = client
        self._stored = stored
        self._paused = paused
        self._holder = holder
        self._asked: dict[str, Resumption | PositionLost] = {}

    async def rows(self) -> list[Planned]:
        """Of the routes that are configured."""
        source = source_of(self._config, self._name, self._client)
        await source.check()
        fresh = await self._fresh(source)
        return [
            await self._row(source, route.name, route.start, self._stored.get(route.name), fresh)
            for route in self._config.subscriptions[self._name].routes
        ]

    def orphans(self) -> Iterator[Planned]:
        """Of routes that have a position and are not configured; those of operations end by themselves."""
        known = route_names(self._config, self._name) if self._name in self._config.subscriptions else []
        for route, position in self._stored.items():
            if route in known or "@" in route:
                continue
            named = f"{self._name} --route {route}"
            yield self._planned(
                route,
                Prospect.ORPHANED,
                "it has a position and the configuration does not have it: nobody goes on there, and after a "
                "while MongoDB no longer has what comes next",
                next_=f"eventbus position forget {named} removes it; it is kept for a route of its name, "
                f"and one of another name goes on there with start: {{token: {position.token}}}",
                position=position,
            )

    async def _fresh(self, source: Source) -> Mapping[str, Position]:
        """Where routes without a position would begin."""
        spec = spec_of(
            self._config,
            self._name,
            source,
            shared_sinks(self._config),
            drain_timeout_secs=self._config.daemon.drain_timeout,
            collections=MongoCollections(self._client),
        )
        try:
            return await fresh_positions(spec, self._stored)
        finally:
            await spec.close()

    async def _row(
        self,
        source: Source,
        route: str,
        start: str,
        stored: Position | None,
        fresh: Mapping[str, Position],
    ) -> Planned:
        position = stored or fresh[route]
        is_now = stored is None and start in {"now", "subscription"}
        asked = Resumption.RESUMED if is_now else await self._resumption(source, position)
        if isinstance(asked, PositionLost):
            return await self._lost(source, route, position, asked)
        if reason := paused_by(self._paused, route):
            why = f"it rests until it is resumed: {reason}"
            resume = f"eventbus resume {self._name}"
            own = f"{resume} --route {route}" if route in self._paused else resume
            return self._planned(route, Prospect.PAUSED, why, next_=own, position=position)
        if stored is None:
            return self._begun(route, start, position)
        snapshot = position.snapshot
        if snapshot is not None and not snapshot.is_finished:
            why = (
                f"a snapshot is under way and goes on: {snapshot.read} of {snapshot.total} documents are read"
            )
            return self._planned(route, Prospect.KEPT, why, position=position)
        if asked is Resumption.REOPENED:
            why = (
                f"the stream, as it is now, does not have the change that the route stands at: it opens at "
                f"{written(position)} and skips what was read before, so nothing is lost or comes twice"
            )
            return self._planned(route, Prospect.REOPENED, why, position=position)
        return self._planned(route, Prospect.KEPT, f"it goes on at {written(position)}", position=position)

    def _begun(self, route: str, start: str, position: Position) -> Planned:
        if position.snapshot is not None:
            why = "it has no position yet: all documents are read, beside the changes from now on"
            total = position.snapshot.total
            return self._planned(route, Prospect.SNAPSHOT, why, position=position, documents=total)
        why = _STARTS.get(start, f"it has no position yet and begins after {written(position)}")
        return self._planned(route, Prospect.NEW, why, position=position)

    async def _lost(self, source: Source, route: str, position: Position, lost: PositionLost) -> Planned:
        """A position that cannot be read on from, and what is done about it."""
        policy, documents = _policy_of(source.policy), None
        if policy is OnPositionLost.SNAPSHOT and isinstance(source, SnapshotSource):
            documents = (await source.begin_snapshot("plan")).total
        move = f"eventbus position set {self._name} --route {route} --to oldest"
        return self._planned(
            route,
            Prospect.LOST,
            f"{lost}; {_WHEN_LOST[policy]}",
            next_=move if policy is OnPositionLost.STOP else "",
            position=position,
            documents=documents,
        )

    async def _resumption(self, source: Source, position: Position) -> Resumption | PositionLost:
        """What the server says; routes mostly stand at the same place, and it is asked once."""
        if position.token not in self._asked:
            self._asked[position.token] = await _asked_of(source, position)
        return self._asked[position.token]

    def _planned(
        self,
        route: str,
        prospect: Prospect,
        why: str,
        *,
        next_: str = "",
        position: Position | None = None,
        documents: int | None = None,
    ) -> Planned:
        paused = paused_by(self._paused, route)
        return Planned(
            self._name, route, prospect, why, next_, position, documents, paused, holder=self._holder
        )


_WHEN_LOST: Final = {
    OnPositionLost.STOP: "the route stops until an operator decides",
    OnPositionLost.SNAPSHOT: "a gap is recorded, and all documents are read, beside the changes from now on",
    OnPositionLost.OLDEST: "a gap is recorded, and the route goes on with the oldest change that is left",
    OnPositionLost.NOW: "a gap is recorded, and the route goes on from now",
}


def _policy_of(policy: SourcePolicy) -> OnPositionLost:
    """A snapshot when needed is needed when a position is lost, unless something else is asked for."""
    if policy.on_position_lost is OnPositionLost.STOP and policy.snapshot is SnapshotMode.WHEN_NEEDED:
        return OnPositionLost.SNAPSHOT
    return policy.on_position_lost


async def _asked_of(source: Source, position: Position) -> Resumption | PositionLost:
    if not isinstance(source, MongoSource):
        return Resumption.RESUMED
    try:
        return await source.resumption(position)
    except PositionLost as lost:
        return lost
    except ConfigurationError as error:
        raise ConfigurationError(*(f"subscriptions: {problem}" for problem in error.problems)) from None
