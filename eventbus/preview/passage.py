"""What becomes of changes on each route, asked as the daemon asks; no sink is opened, no registry called.

Previews send past changes through it, cases such as somebody wrote down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import anyio
import structlog

from eventbus.assembly import shared_sinks, spec_of
from eventbus.config import Config
from eventbus.encoding.avro import RegisteredSchema
from eventbus.errors import Unreachable
from eventbus.model import Event, Failure, Filtered, Message, Rejected, Slot, Taken
from eventbus.runtime.messages import MessageMaker
from eventbus.runtime.subscription import RouteSpec
from eventbus.sdk import Carries, Collections, Sink, Source, carried_by
from eventbus.sinks.registering import RegisteringSink
from eventbus.stages.pipeline import PipelineStopped

__all__ = ["Fate", "Outcome", "Passage", "Passed"]

log = structlog.get_logger("eventbus.preview")


class Outcome(StrEnum):
    """What would become of a change on a route."""

    DELIVERED = "delivered"
    FILTERED = "filtered"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Fate:
    """What would become of one change on one route.

    Args:
        outcome: What.
        reason: What filtered it, or why it is parked; empty where it is delivered.
        message: What would be sent.
        kind: What kind of failure it was, where it is parked.
    """

    outcome: Outcome
    reason: str = ""
    message: Message | None = None
    kind: Failure | None = None


class Passed(NamedTuple):
    """What the subscription's pipeline makes of a change, and its fates by name of the route."""

    slot: Slot
    fates: Mapping[str, Fate]

    @property
    def event(self) -> Event:
        """The change."""
        return self.slot.event


_PATIENCE_SECS = 60.0
"""How long a batch may take in the pipeline."""

_BY_PIPELINE = Fate(Outcome.FILTERED, "pipeline")
_BY_WHEN = Fate(Outcome.FILTERED, "when")
_BY_ROUTE = Fate(Outcome.FILTERED, "pipeline of the route, or no form in its encoding")


class Passage:
    """One subscription of a configuration, up to its messages.

    Args:
        config: The configuration.
        subscription: Name of the subscription.
        source: Where its changes come from.
        collections: What stages find that look something up.
        log: Told of bugs.
    """

    def __init__(
        self,
        config: Config,
        subscription: str,
        source: Source,
        collections: Collections | None,
        log: structlog.stdlib.BoundLogger = log,
    ) -> None:
        sinks = shared_sinks(config)
        self.sinks = {route.name: route.sink for route in config.subscriptions[subscription].routes}
        """Names of the sinks, by name of the route."""
        self.carries: dict[str, Carries] = {}
        """What messages can be like, by name of the route."""
        self.stopped: str | None = None
        """Why the subscription would stop; None if it would not."""
        self.schemas: dict[str, RegisteredSchema | None] = {}
        """The schemas of messages in Avro, by name of the route."""
        for route, sink in self.sinks.items():
            self.carries[route] = carried_by(sinks[sink].sink)
            schema = _schema(sinks[sink].sink, subscription, route)
            self.schemas[route] = schema
            if schema is not None:
                schema.id = 0
        self._spec = spec_of(
            config,
            subscription,
            source,
            sinks,
            drain_timeout_secs=config.daemon.drain_timeout,
            collections=collections,
        )
        self._routes = {name: _Route(spec, log) for name, spec in self._spec.routes.items()}

    async def through(self, slots: Sequence[Slot]) -> list[Passed]:
        """What becomes of a batch; nothing where a stage stops the subscription.

        Raises:
            Unreachable: A stage waits for something that is away; a daemon would wait as long as it takes.
        """
        with anyio.move_on_after(_PATIENCE_SECS) as patience:
            try:
                for stage in self._spec.stages:
                    slots = await stage.apply(slots)
            except PipelineStopped as stopped:
                self.stopped = str(stopped)
                return []
        if patience.cancelled_caught:
            raise Unreachable(
                f"subscription {self._spec.name}: a stage waits for what is away, as the daemon would: "
                "stage_waited in the log names it"
            )
        return [
            Passed(slot, {name: route.fate(slot) for name, route in self._routes.items()}) for slot in slots
        ]

    async def close(self) -> None:
        """Release what stages hold."""
        await self._spec.close()


class _Route:
    """What one route makes of changes, in their order."""

    def __init__(self, spec: RouteSpec, log: structlog.stdlib.BoundLogger) -> None:
        self._spec = spec
        maker = MessageMaker(spec.sink.sink, spec.encoder, spec.policy.transform, log)
        self._message_of = maker.message_of
        self._prepare = spec.policy.prepare() if spec.policy.prepare is not None else None

    def fate(self, slot: Slot) -> Fate:
        if isinstance(slot, Filtered):
            return _BY_PIPELINE
        policy = self._spec.policy
        if policy.when is not None and isinstance(slot, Event):
            slot = policy.when(slot)
            if isinstance(slot, Filtered):
                return _BY_WHEN
        taken: Sequence[Taken] = [slot] if self._prepare is None else self._prepare([slot])
        if not taken:
            return _BY_ROUTE
        made = self._message_of(taken[0])
        match made:
            case Message():
                return Fate(Outcome.DELIVERED, message=made)
            case Rejected():
                return Fate(Outcome.PARKED, made.reason, kind=made.kind)
            case Filtered():
                return _BY_ROUTE


def _schema(sink: Sink, subscription: str, route: str) -> RegisteredSchema | None:
    """The schema of a route's messages, if they are Avro."""
    return sink.schema(subscription, route) if isinstance(sink, RegisteringSink) else None
