"""The simulated target of a sink: it keeps what it got, and misbehaves by plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Protocol

import anyio
from pydantic import BaseModel

from eventbus.errors import ConfigurationError, EncodingError, NoForm, Unreachable
from eventbus.model import DELIVERED, Delivered, Event, Fault, Message, Outcome, Rejected, Retry
from eventbus.sdk import Encoded, Encoder, SinkTraits
from tests.runtime.history import Fate, fate_of

__all__ = ["FAULTS", "TAKES_EFFECT", "Answers", "FaultySink", "RouteTag", "Target", "Trouble", "failure_of"]

FAULTS = {
    "unavailable": Fault.UNAVAILABLE,
    "gone": Fault.UNAVAILABLE,
    "busy": Fault.UNAVAILABLE,
    "lost": Fault.UNAVAILABLE,
    "unauthorised": Fault.UNAUTHORISED,
    "failing": Fault.FAILED,
    "throttled": Fault.FAILED,
    "lying": Fault.FAILED,
}
TAKES_EFFECT = {"lying", "lost"}
_ASKS_TO_WAIT = {"busy", "throttled"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch of time in which a target misbehaves.

    Args:
        kind: Of single messages: ``failing``, ``throttled`` (fails and asks to wait), ``rejecting``,
            ``unavailable``, ``gone`` (wants nothing more), ``busy`` (unavailable and asks to wait),
            ``unauthorised``, ``lying`` (takes it and says that it failed), ``lost`` (takes it and the answer
            is lost). Of whole calls: ``raising``, ``miscounting``, ``slow``, ``hanging`` (until the end). Of
            opening: ``closed``, ``refusing``, ``slow_to_open``.
        start: When it begins, in virtual seconds.
        end: When it is over.
        keys: Which keys it concerns; empty for all.
        times: How often it strikes the same event.
        secs: How long a slow call takes, or how long a busy target asks to wait.
    """

    kind: str
    start: float = 0.0
    end: float = float("inf")
    keys: frozenset[str] = frozenset()
    times: int = 1_000_000
    secs: float = 0.5

    def concerns(self, now: float, event: Event | None = None) -> bool:
        """Whether it strikes at a moment, and this event."""
        if not self.start <= now < self.end:
            return False
        return not self.keys or (event is not None and event.key.decode() in self.keys)


@dataclass(slots=True)
class Target:
    """A target system: it outlives every daemon.

    Args:
        name: The sink's name.
        traits: What the sink says of itself.
        troubles: How it misbehaves.
        secs: The longest that a call takes.
    """

    name: str
    traits: SinkTraits = field(default_factory=lambda: SinkTraits(lanes=2))
    troubles: list[Trouble] = field(default_factory=list)
    secs: float = 0.01
    strikes: Counter[tuple[Trouble, str, str]] = field(default_factory=Counter)
    positions: dict[str, bytes] = field(default_factory=dict)
    """What it keeps of routes that are delivered exactly once, by their name."""
    epochs: dict[str, int] = field(default_factory=dict)

    def trouble(self, *kinds: str) -> Trouble | None:
        """What is wrong at this moment with calls as a whole."""
        now = anyio.current_time()
        return next((one for one in self.troubles if one.kind in kinds and one.concerns(now)), None)

    def strike(self, route: str, event: Event) -> Trouble | None:
        """What is wrong at this moment with one message; it counts as a strike."""
        now = anyio.current_time()
        for one in self.troubles:
            struck = (one, route, event.id)
            if (
                one.concerns(now, event)
                and one.kind in {*FAULTS, "rejecting"}
                and self.strikes[struck] < one.times
            ):
                self.strikes[struck] += 1
                return one
        return None


class RouteTag:
    """An encoder whose bodies tell from which route they come, so that routes may share a sink."""

    content_type = "text/plain"

    def __init__(self, route: str) -> None:
        self.route = route

    def encode(self, event: Event) -> bytes:
        """See `eventbus.sdk.Encoder`."""
        if fate_of(event) is Fate.UNENCODABLE:
            raise EncodingError("destined to be unencodable")
        if fate_of(event) is Fate.FORMLESS:
            raise NoForm("destined to be left out")
        return self.route.encode()

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:
        """See `eventbus.sdk.Encoder`."""
        return ()


class Answers(Protocol):
    """Whoever keeps account of what a target gets and answers."""

    def opening(self) -> None:
        """A connection is about to be there."""

    def sending(self, route: str, messages: Sequence[Message]) -> None:
        """An attempt begins."""

    def arrived(self, route: str, event: Event) -> None:
        """The target has a message."""

    def answered(self, route: str, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """An attempt ended; these outcomes are what the engine understands."""

    def misused(self, text: str) -> None:
        """The engine broke what the plugin interface promises to sinks."""


class FaultySink:
    """One daemon's sink on a target.

    Args:
        target: Where it sends.
        is_dead: Whether the daemon was killed: nothing that it still sends arrives.
        answers: Told of everything.
        rng: Where latency comes from.
    """

    Options: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, target: Target, is_dead: Callable[[], bool], answers: Answers, rng: Random) -> None:
        self.name = target.name
        self.traits = target.traits
        self._target = target
        self._is_dead = is_dead
        self._answers = answers
        self._rng = rng
        self._open = False
        self._under_way = 0

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._pass_time()
        if slow := self._target.trouble("slow_to_open"):
            await anyio.sleep(slow.secs)
        self._answers.opening()
        if self._target.trouble("closed"):
            raise Unreachable("the target cannot be connected to")
        if self._target.trouble("refusing"):
            raise ConfigurationError("the target wants no connection")
        self._open = True

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        self._open = False

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        route = messages[0].body.decode()
        self._check_use(messages)
        self._answers.sending(route, messages)
        self._under_way += 1
        try:
            return await self._attempt(route, messages)
        finally:
            self._under_way -= 1

    async def _attempt(self, route: str, messages: Sequence[Message]) -> Sequence[Outcome]:
        await self._pass_time()
        if hanging := self._target.trouble("hanging"):
            await anyio.sleep_until(hanging.end)
        if slow := self._target.trouble("slow"):
            await anyio.sleep(slow.secs)
        if self._is_dead():
            await anyio.sleep_forever()
        outcomes = self._take(route, messages)
        await self._pass_time()
        if broken := self._target.trouble("raising", "miscounting"):
            failed = [Retry(Fault.FAILED, broken.kind)] * len(messages)
            self._answers.answered(route, messages, failed)
            if broken.kind == "raising":
                raise RuntimeError("a bug of the sink")
            return outcomes[:-1]
        self._answers.answered(route, messages, outcomes)
        return outcomes

    def _take(self, route: str, messages: Sequence[Message]) -> list[Outcome]:
        """Take effect message by message: in order if the sink keeps it, else in any."""
        order = list(range(len(messages)))
        if not self.traits.keeps_order:
            self._rng.shuffle(order)
        outcomes: list[Outcome] = [DELIVERED] * len(messages)
        held_up: dict[bytes, Outcome] = {}
        for index in order:
            message = messages[index]
            outcomes[index] = self._take_one(route, message, held_up.get(message.event.key))
            if isinstance(outcomes[index], Retry):
                held_up[message.event.key] = outcomes[index]
        return outcomes

    def _take_one(self, route: str, message: Message, held_up: Outcome | None) -> Outcome:
        """Take one message; a later one of a key that failed in the same call must not pass it."""
        if held_up is not None:
            return held_up
        trouble = self._target.strike(route, message.event)
        if trouble is None or trouble.kind in TAKES_EFFECT:
            self._answers.arrived(route, message.event)
        if trouble is None:
            return DELIVERED if self._rng.random() < 0.9 else Delivered()
        return failure_of(trouble)

    async def _pass_time(self) -> None:
        await anyio.sleep(self._target.secs / 2 * self._rng.random())

    def _check_use(self, messages: Sequence[Message]) -> None:
        traits = self.traits
        if not self._open:
            self._answers.misused("sent before it was open")
        if not 0 < len(messages) <= traits.max_batch:
            self._answers.misused(f"{len(messages)} messages in one call")
        if len(messages) > 1 and sum(message.event.size for message in messages) > traits.max_batch_bytes:
            self._answers.misused("too many bytes in one call")
        keys = {message.event.key for message in messages}
        if len(keys) < len(messages) and not traits.keeps_order:
            self._answers.misused("a key twice in one call")
        if traits.concurrency is not None and self._under_way >= traits.concurrency:
            self._answers.misused("more calls at once than it allows")


def failure_of(trouble: Trouble) -> Retry | Rejected:
    """What a target says of a message that trouble strikes."""
    if trouble.kind == "rejecting":
        return Rejected("never")
    after_secs = trouble.secs if trouble.kind in _ASKS_TO_WAIT else None
    pauses = trouble.kind == "gone"
    return Retry(FAULTS[trouble.kind], trouble.kind, after_secs, detail="said so", pauses=pauses)
