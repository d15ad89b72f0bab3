"""Walks along a stretch by one or two versions of a subscription, whichever is behind going first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pymongo import AsyncMongoClient

from eventbus.config import Config
from eventbus.preview.comparing import BEYOND_ALL, Comparison, Difference
from eventbus.preview.passage import Outcome, Passage, Passed
from eventbus.preview.stretch import Stretch, StretchReader
from eventbus.preview.tally import Tally
from eventbus.servers import source_of
from eventbus.sources.mongodb.collections import MongoCollections

__all__ = ["Report", "Walked", "walk"]

Report: TypeAlias = Callable[[float, int], None]
"""Told how much of a stretch is behind, between 0 and 1, and how many changes of it were read."""


@dataclass(slots=True)
class Walked:
    """What was found of one subscription.

    Args:
        subscription: Its name.
        stretch: What was read.
        routes: By name of the route of the new version.
        sinks: Names of their sinks.
        read: How many changes the server gave to the new version.
        stopped: Why the new version would stop; None if it would not.
        differences: How the running version's routes differ; None if there was none to compare with.
    """

    subscription: str
    stretch: Stretch
    routes: Mapping[str, Tally]
    sinks: Mapping[str, str]
    read: int = 0
    stopped: str | None = None
    differences: Mapping[str, Difference] | None = field(default=None)


async def walk(
    client: AsyncMongoClient[Any],
    config: Config,
    subscription: str,
    stretch: Stretch,
    *,
    running: Config | None = None,
    samples: int = 0,
    into: Mapping[str, Tally] | None = None,
    report: Report = lambda _share, _read: None,
) -> Walked:
    """Read a stretch and see what becomes of it.

    Args:
        client: The client to read with.
        config: The new configuration.
        subscription: Name of the subscription.
        stretch: What to read.
        running: The running configuration, to be compared with; None for no comparison.
        samples: How many messages of each route to keep.
        into: Further tallies by name of the sink; they get what its routes deliver.
        report: Told how it comes along.

    Raises:
        PositionLost: The source forgot what comes next while it was read.
        ConfigurationError: The source refuses one of the versions.
    """
    async with _side(client, config, subscription, stretch) as new:
        routes = {
            name: Tally(stretch, samples=samples, schema=new.passage.schemas[name])
            for name in new.passage.sinks
        }
        walked = Walked(subscription, stretch, routes, new.passage.sinks)
        if running is None:
            while passed := await new.step():
                _count(walked, passed, into or {})
                report(new.share, walked.read)
        elif subscription in running.subscriptions:
            async with _side(client, running, subscription, stretch) as old:
                await _compare(walked, new, old, into or {}, report)
        else:
            await _compare(walked, new, None, into or {}, report)
        walked.stopped = new.passage.stopped
        return walked


async def _compare(
    walked: Walked, new: _Side, old: _Side | None, into: Mapping[str, Tally], report: Report
) -> None:
    sides = [new, old] if old is not None else [new]
    comparison = Comparison([*{name: None for side in sides for name in side.passage.sinks}])
    walked.differences = comparison.differences
    if old is None:
        comparison.add(1, [], BEYOND_ALL)
    while True:
        version, side = min(enumerate(sides), key=lambda one: one[1].read)
        passed = await side.step()
        comparison.add(version, passed.changes if passed is not None else [], side.read)
        if passed is not None and side is new:
            _count(walked, passed, into)
        if all(one.read == BEYOND_ALL for one in sides):
            return
        report(min(one.share for one in sides), walked.read)


def _count(walked: Walked, passed: _Step, into: Mapping[str, Tally]) -> None:
    walked.read += passed.read
    for slot, fates in passed.changes:
        for name, fate in fates.items():
            walked.routes[name].add(slot.event, fate)
            sink = into.get(walked.sinks[name])
            if sink is not None and fate.outcome is Outcome.DELIVERED:
                sink.add(slot.event, fate)


@dataclass(frozen=True, slots=True)
class _Step:
    """What one poll brought: how many changes, and what became of them."""

    read: int
    changes: list[Passed]


class _Side:
    """One version on its way."""

    def __init__(self, reader: StretchReader, passage: Passage, stretch: Stretch) -> None:
        self.passage = passage
        self.read = stretch.start.token
        """Token up to which it is read; beyond all at its end."""
        self.share = 0.0
        self._reader = reader
        self._stretch = stretch

    async def step(self) -> _Step | None:
        """Go on by one poll; None at the end, or where the subscription would stop."""
        batch = await self._reader.next() if self.passage.stopped is None else None
        if batch is None:
            self.read, self.share = BEYOND_ALL, 1.0
            return None
        self.read, self.share = batch.end.token, self._stretch.share(batch.end)
        return _Step(len(batch), await self.passage.through(batch.slots))


@asynccontextmanager
async def _side(
    client: AsyncMongoClient[Any], config: Config, subscription: str, stretch: Stretch
) -> AsyncIterator[_Side]:
    source = source_of(config, subscription, client)
    reader = StretchReader(source, stretch)
    passage = Passage(config, subscription, source, MongoCollections(client))
    try:
        yield _Side(reader, passage, stretch)
    finally:
        await passage.close()
        await reader.close()
