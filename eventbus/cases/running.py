"""Runs the changes of a case through a subscription, up to the messages; no sink is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from eventbus.cases.telling import told_message
from eventbus.config import Config
from eventbus.model import Event, Failure, Filtered, Message, Parked
from eventbus.preview.passage import Passage, Passed
from eventbus.sinks.fanning_out import parts_of
from eventbus.stages.memory import MemoryCollections

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
        passage = Passage(
            self._config,
            self._subscription,
            _NoSource(),  # type: ignore[arg-type] # nothing is read here
            self._collections,
            log,
        )
        try:
            return _happened(passage, await passage.through(events))
        finally:
            await passage.close()


class _NoSource:
    """Stands where a source would; whoever asks it anything fails."""


def _happened(passage: Passage, passed: Sequence[Passed]) -> Happened:
    happened = Happened({route: [] for route in passage.sinks}, stopped=passage.stopped)
    for number, (slot, fates) in enumerate(passed, start=1):
        match slot:
            case Filtered():
                happened.dropped += 1
            case Parked():  # once, whatever routes there are
                happened.parked.append(ParkedEvent(number, None, slot.reason, Failure.STAGE.value))
            case Event():
                for route, fate in fates.items():
                    if fate.kind is not None:
                        happened.parked.append(ParkedEvent(number, route, fate.reason, fate.kind.value))
                    elif fate.message is not None:
                        happened.messages[route] += _told(passage, route, fate.message)
    return happened


def _told(passage: Passage, route: str, message: Message) -> list[dict[str, Any]]:
    """What of a message is sent: nothing, if it is empty and its sink knows no tombstones."""
    if not message.body and not passage.carries[route].tombstones:
        return []
    schema = passage.schemas[route]
    definition = schema.definition if schema is not None else None
    return [told_message(part, definition) for part in parts_of(message)]
