"""Runs events through what the daemon is made of, up to the messages; no sink is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from eventbus.assembly import shared_sinks, spec_of
from eventbus.cases.telling import told_message
from eventbus.config import Config
from eventbus.encoding.avro import RegisteredSchema
from eventbus.model import Event, Failure, Filtered, Message, Parked, Rejected, Slot
from eventbus.runtime.messages import message_of
from eventbus.runtime.subscription import RouteSpec, SubscriptionSpec
from eventbus.sdk import Sink, carried_by
from eventbus.sinks.fanning_out import parts_of
from eventbus.sinks.registering import RegisteringSink
from eventbus.stages.memory import MemoryCollections
from eventbus.stages.pipeline import PipelineStopped

__all__ = ["Happened", "ParkedEvent", "Rig"]

log = structlog.get_logger("eventbus.cases")


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A dead letter that there would be.

    Args:
        event: Which of the given changes, the first is 1.
        route: On which route; None for one on every route.
        reason: Why.
        kind: What kind of failure it is.
    """

    event: int
    route: str | None
    reason: str
    kind: str


@dataclass(slots=True)
class Happened:
    """What became of the changes of a case.

    Args:
        messages: What would be sent, by name of the route; see `told_message`.
        parked: The dead letters, in the order of the changes and of the routes.
        dropped: How many changes the subscription's pipeline dropped.
        stopped: Why the subscription stopped; None if it did not.
    """

    messages: dict[str, list[dict[str, Any]]]
    parked: list[ParkedEvent] = field(default_factory=list)
    dropped: int = 0
    stopped: str | None = None


class Rig:
    """One subscription as the daemon would assemble it, with written collections in place of MongoDB.

    Args:
        config: The configuration.
        subscription: Name of the subscription.
        collections: What stages find that look something up.
    """

    def __init__(
        self, config: Config, subscription: str, collections: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> None:
        self._config = config
        self._subscription = subscription
        self._collections = MemoryCollections(collections)

    async def run(self, events: Sequence[Event]) -> Happened:
        """What becomes of events that come in one batch; every call begins anew."""
        spec = self._spec()
        try:
            return await _run(spec, events)
        finally:
            await spec.close()

    def _spec(self) -> SubscriptionSpec:
        sinks = shared_sinks(self._config)
        for route in self._config.subscriptions[self._subscription].routes:
            schema = _schema(sinks[route.sink].sink, self._subscription, route.name)
            if schema is not None:
                schema.id = 0  # no registry is asked
        return spec_of(
            self._config,
            self._subscription,
            _NoSource(),  # type: ignore[arg-type] # nothing is read here
            sinks,
            drain_timeout_secs=self._config.daemon.drain_timeout,
            collections=self._collections,
        )


class _NoSource:
    """Stands where a source would; whoever asks it anything fails."""


async def _run(spec: SubscriptionSpec, events: Sequence[Event]) -> Happened:
    happened = Happened({name: [] for name in spec.routes})
    routes = [_Route(spec.name, name, route) for name, route in spec.routes.items()]
    slots: Sequence[Slot] = events
    try:
        for stage in spec.stages:
            slots = await stage.apply(slots)
    except PipelineStopped as stopped:
        happened.stopped = str(stopped)
        return happened
    for number, slot in enumerate(slots, start=1):
        match slot:
            case Filtered():
                happened.dropped += 1
            case Parked():
                happened.parked.append(ParkedEvent(number, None, slot.reason, Failure.STAGE.value))
            case Event():
                for route in routes:
                    route.deliver(number, slot, happened)
    return happened


class _Route:
    """What one route makes of events, asked as the daemon asks."""

    def __init__(self, subscription: str, name: str, spec: RouteSpec) -> None:
        self._name = name
        self._spec = spec
        self._prepare = spec.policy.prepare() if spec.policy.prepare is not None else None
        self._schema = _schema(spec.sink.sink, subscription, name)

    def deliver(self, number: int, event: Event, happened: Happened) -> None:
        """Note what becomes of an event."""
        policy, sink = self._spec.policy, self._spec.sink.sink
        slot = policy.when(event) if policy.when is not None else event
        if isinstance(slot, Filtered):
            return
        for taken in [slot] if self._prepare is None else self._prepare([slot]):
            made = message_of(taken, sink, self._spec.encoder, policy.transform, log)
            if isinstance(made, Rejected):
                happened.parked.append(ParkedEvent(number, self._name, made.reason, made.kind.value))
            elif isinstance(made, Message) and (made.body or carried_by(sink).tombstones):
                definition = self._schema.definition if self._schema is not None else None
                told = [told_message(part, definition) for part in parts_of(made)]
                happened.messages[self._name] += told


def _schema(sink: Sink, subscription: str, route: str) -> RegisteredSchema | None:
    """The schema of a route's messages, if they are Avro."""
    return sink.schema(subscription, route) if isinstance(sink, RegisteringSink) else None
