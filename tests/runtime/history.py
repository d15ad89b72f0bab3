"""The simulated source: what happened, in order, and readers of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, ClassVar

import anyio
from anyio import NoEventLoopError
from pydantic import BaseModel

from eventbus.errors import ConfigurationError, PositionLost, Unreachable
from eventbus.model import (
    Batch,
    ClusterTime,
    Event,
    Filtered,
    Parked,
    Position,
    PositionKind,
    Slot,
    Snapshot,
)
from eventbus.sdk import SourcePolicy
from tests.runtime.splicing import Splicing

__all__ = [
    "FIRST_SECOND",
    "Fate",
    "FateStage",
    "History",
    "Pace",
    "SimulatedReader",
    "SimulatedSource",
    "fate_of",
]


FIRST_SECOND = 1_700_000_000
"""Cluster time, in seconds, at which virtual time is 0."""


class Fate(StrEnum):
    """What an event is destined for on its way to the routes."""

    DELIVER = "deliver"
    FILTER = "filter"
    PARK = "park"
    UNENCODABLE = "unencodable"
    FORMLESS = "formless"
    """The encoder leaves it out."""


def fate_of(event: Event) -> Fate:
    """What the event was destined for when it happened."""
    return Fate((event.attributes or {}).get("fate", Fate.DELIVER))


class History:
    """Every change that ever happened, ordered by token; idle tokens move on between changes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tokens: list[str] = []
        self.by_key: dict[bytes, list[Event]] = {}
        self.barriers: list[Event] = []
        self.documents: dict[str, Fate] = {}
        """What is there without a change of its own, by key, and what reading it is destined for."""
        self.happened: dict[str, float] = {}
        """When each change happened, in virtual time, by its token."""
        self._known: tuple[int, dict[str, Event | None]] = (0, {})
        self._ticks = 0
        self._grown = anyio.Event()

    def change(
        self,
        key: str | None,
        *,
        size: int = 1,
        fate: Fate = Fate.DELIVER,
        operation: str = "update",
    ) -> Event:
        """Something happened: to a document, or to no single document if there is no key."""
        position = self._tick(PositionKind.EVENT)
        event = Event(
            token=position.token,
            operation="drop" if key is None else operation,
            database="shop",
            collection="orders",
            cluster_time=position.cluster_time,
            document_key=None if key is None else {"_id": key},
            key=None if key is None else key.encode(),
            size=size,
            attributes={"fate": fate},
        )
        self.events.append(event)
        self.tokens.append(event.token)
        self.happened[event.token] = _now()
        self.by_key.setdefault(event.key, []).append(event)
        if event.is_barrier:
            self.barriers.append(event)
        self._grown.set()
        self._grown = anyio.Event()
        return event

    def idle(self) -> Position:
        """The present moment as a position: beyond every change so far, before every later one."""
        return self._tick(PositionKind.IDLE)

    def versions(self, place: int) -> dict[str, Event | None]:
        """The documents that are there before the change of this index: by key, the last change of each."""
        known, found = self._known
        if place < known:
            known, found = 0, {}
        found = found if known else dict[str, Event | None](dict.fromkeys(self.documents))
        for event in self.events[known:place]:
            if isinstance(event.document_key, Mapping):
                key = event.document_key["_id"]
                found.pop(key, None)
                if event.operation != "delete":
                    found[key] = event
        self._known = place, found
        return found

    def after(self, token: str) -> int:
        """Index of the first change beyond a token."""
        return bisect_right(self.tokens, token)

    async def growth(self) -> None:
        """Wait for the next change."""
        await self._grown.wait()

    def _tick(self, kind: PositionKind) -> Position:
        self._ticks += 1
        time = ClusterTime(FIRST_SECOND + int(_now()), self._ticks)
        return Position(f"82{time.seconds:08X}{time.increment:08X}", kind, time)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a reader reads.

    Args:
        batch: The most changes that one poll returns.
        poll_secs: The longest that a poll takes when there is something.
        idle_secs: How long a poll waits for something.
        close_secs: The longest that closing takes.
        catch_up_secs: How long a poll takes that returns anything but the newest changes.
    """

    batch: int = 16
    poll_secs: float = 0.01
    idle_secs: float = 0.5
    close_secs: float = 0.01
    catch_up_secs: float = 0.0


class SimulatedReader:
    """One cursor of the simulated source; its polls take time, and idle ones tell that the position moved."""

    def __init__(
        self,
        source: SimulatedSource,
        history: History,
        start: Position,
        pace: Pace,
        rng: Random,
        polled: Polled,
    ) -> None:
        self.start = start
        self._source = source
        self._history = history
        self._token = start.token
        self._pace = pace
        self._rng = rng
        self._polled = polled
        self._closed = anyio.Event()
        self.is_closed = False
        self._splicing = Splicing(history, start, rng) if start.snapshot is not None else None

    @property
    def trouble(self) -> str | None:
        """See `eventbus.sdk.Reader`."""
        return None

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`."""
        self._polled(self)
        await self._unless_closed(self._pace.poll_secs * self._rng.random())
        if self._token < self._source.forgotten:
            self._source.lost.add(self._token)
            raise PositionLost("the history does not reach back so far")
        first = self._history.after(self._token)
        if first == len(self._history.events):
            await self._unless_closed(self._idle_secs(), self._history)
        if self._closed.is_set():
            return None
        slots = self._history.events[first : first + self._pace.batch]
        if self is not self._source.readers[0]:
            await self._unless_closed(self._pace.catch_up_secs)
        batch = Batch(slots, self._end(slots, at_head=first + len(slots) == len(self._history.events)))
        if self._splicing is not None:
            batch = self._splicing.splice(batch, first)
        self._token = batch.end.token
        return batch

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        if not self._closed.is_set():
            self._closed.set()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self._pace.close_secs * self._rng.random())
            self.is_closed = True

    def _idle_secs(self) -> float:
        reads_documents = self._splicing is not None and not self._splicing.is_finished
        return 0.05 if reads_documents else self._pace.idle_secs

    def _end(self, slots: Sequence[Slot], *, at_head: bool) -> Position:
        if at_head and (not slots or self._rng.random() < 0.5):
            return self._history.idle()
        return slots[-1].event.position

    async def _unless_closed(self, secs: float, growing: History | None = None) -> None:
        """Let time pass, but no longer than until the reader is closed or the history grows."""
        with anyio.move_on_after(secs):
            async with anyio.create_task_group() as tasks:

                async def cut_short(wait: Callable[[], Any]) -> None:
                    await wait()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(cut_short, self._closed.wait)
                if growing is not None:
                    tasks.start_soon(cut_short, growing.growth)


Polled = Callable[[SimulatedReader], None]
"""Told of each poll before it begins."""


class SimulatedSource:
    """The history as a source.

    Args:
        history: What it reads.
        pace: How its readers read.
        rng: Where variation comes from.
        polled: Told of each poll.
        policy: What becomes of positions that are lost.
    """

    Options: ClassVar[type[BaseModel]] = BaseModel

    def __init__(
        self,
        history: History,
        pace: Pace,
        rng: Random,
        polled: Polled,
        policy: SourcePolicy | None = None,
    ) -> None:
        self.policy = policy or SourcePolicy()
        self.refusal: str | None = None
        """Why it begins no snapshot; None if it does."""
        self.away = False
        self.forgotten = ""
        """Token up to which the history is forgotten: a reader that needs what lies before is lost."""
        self.lost: set[str] = set()
        """Every token from which a reader could not go on."""
        self.most_forgotten = ""
        """The furthest that was ever said to be forgotten."""
        self.most_readers = 0
        """The most that were ever open at once."""
        self.readers: list[SimulatedReader] = []
        self._history = history
        self._pace = pace
        self._rng = rng
        self._polled = polled

    async def check(self) -> None:
        """See `eventbus.sdk.Source`."""

    async def now(self) -> Position:
        """See `eventbus.sdk.Source`."""
        await anyio.sleep(self._pace.poll_secs)
        if self.away:
            raise Unreachable("the source is away")
        return self._history.idle()

    async def oldest(self) -> Position:
        """See `eventbus.sdk.Source`."""
        await anyio.sleep(self._pace.poll_secs)
        if self.away:
            raise Unreachable("the source is away")
        self.most_forgotten = max(self.most_forgotten, self.forgotten)
        return self.position(self.forgotten) if self.forgotten else self.at(ClusterTime(FIRST_SECOND, 0))

    def at(self, time: ClusterTime) -> Position:
        """See `eventbus.sdk.Source`."""
        return Position(f"82{time.seconds:08X}{time.increment:08X}", PositionKind.IDLE, time)

    def position(self, token: str) -> Position:
        """See `eventbus.sdk.Source`."""
        if not token.startswith("82"):
            raise ConfigurationError(f"{token!r} is not a token")
        time = ClusterTime(int(token[2:10], 16), int(token[10:18], 16))
        return Position(token, PositionKind.EVENT, time)

    async def begin_snapshot(
        self, snapshot_id: str, *, collections: Sequence[str] = (), match: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """See `eventbus.sdk.SnapshotSource`; of a filter it knows ``{"below": key}``."""
        await anyio.sleep(self._pace.poll_secs)
        if self.away:
            raise Unreachable("the source is away")
        if self.refusal is not None:
            raise ConfigurationError(self.refusal)
        scope = str(match["below"]).encode() if match else b""
        documents = self._history.versions(len(self._history.events))
        total = sum(1 for key in documents if not scope or key.encode() < scope)
        return Snapshot(snapshot_id, scope, total=total)

    def reader(self, start: Position) -> SimulatedReader:
        """See `eventbus.sdk.Source`."""
        reader = SimulatedReader(self, self._history, start, self._pace, self._rng, self._polled)
        self.readers.append(reader)
        self.most_readers = max(self.most_readers, len(self.open_readers()))
        return reader

    def open_readers(self) -> list[SimulatedReader]:
        """Those that are not closed yet."""
        return [reader for reader in self.readers if not reader.is_closed]


class FateStage:
    """A pipeline of one stage that filters and parks what is destined for it, and takes its time."""

    name = "fate"

    def __init__(self, secs: float = 0.0) -> None:
        self._secs = secs

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        await anyio.sleep(self._secs)
        return [self._one(slot) for slot in slots]

    def _one(self, slot: Slot) -> Slot:
        match fate_of(slot.event):
            case Fate.FILTER:
                return Filtered(slot.event)
            case Fate.PARK:
                return Parked(slot.event, "destined to be parked")
            case _:
                return slot


def _now() -> float:
    """Virtual time; its beginning where a history is written before anything runs."""
    try:
        return anyio.current_time()
    except NoEventLoopError:
        return 0.0
