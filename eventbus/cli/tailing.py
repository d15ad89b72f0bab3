"""Events as they pass a subscription's pipeline, beside whoever runs it: nothing moves, no lease is needed.

Only the source is read, by a cursor of its own; the state store is not even opened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import Final

import typer

from eventbus.administration.names import check_route, check_subscription
from eventbus.assembly import pipeline_of
from eventbus.cli.event_text import event_text
from eventbus.cli.printing import note, printable
from eventbus.config import Config, ResolvedRoute
from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.errors import ConfigurationError, EncodingError, PositionLost
from eventbus.model import ClusterTime, Event, Filtered, Parked, Slot
from eventbus.sdk import Source, StageContext, Views
from eventbus.servers import open_client, source_of
from eventbus.sources.mongodb.collections import MongoCollections
from eventbus.stages.admission import admission
from eventbus.stages.pipeline import Pipeline
from eventbus.telemetry.logs import configure_logs

__all__ = ["Format", "tail"]

_POOL_SIZE: Final = 4


class Format(StrEnum):
    """How an event is printed."""

    JSON = "json"
    """As a CloudEvent on a line of its own."""
    PRETTY = "pretty"
    """For people."""


async def tail(
    config: Config,
    subscription: str,
    *,
    route: str | None,
    since_secs: float | None,
    form: Format,
    limit: int,
) -> None:
    """Print events until so many are printed; for ever if the limit is 0.

    Args:
        config: Where the subscription is configured.
        subscription: Its name.
        route: Only what this route takes, as its own pipeline makes it; None for all.
        since_secs: Begin so long ago; None for now.
        form: How they are printed.
        limit: How many.

    Raises:
        ConfigurationError: A name is wrong, or the moment cannot be read any more.
        Unreachable: MongoDB does not answer at the start. Later it is waited for.
    """
    check_subscription(config, subscription)
    if route is not None:
        check_route(config, subscription, route)
    configure_logs(config.log.level, config.log.format, config.log.levels)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(config.mongodb, "tail", _POOL_SIZE, config.read_preference)
        )
        declared = config.subscriptions[subscription]
        views = Views({"subscription": subscription, "service": declared.service})
        context = StageContext(subscription, declared.service, views, MongoCollections(client))
        chosen = next((one for one in declared.routes if one.name == route), None)
        passage = _Passage(pipeline_of(declared.pipeline, context), chosen, context)
        stack.push_async_callback(passage.close)
        printer = _Printer(CloudEventsEncoder(subscription, declared.service), form, limit)
        try:
            await _follow(source_of(config, subscription, client), since_secs, passage, printer)
        except PositionLost as lost:
            raise ConfigurationError(f"--since: so long ago cannot be read any more: {lost}") from None


class _Passage:
    """What happens to events before they are printed.

    Args:
        pipeline: The subscription's; None if it has none.
        route: Whose events alone are meant; None for all.
        context: What its stages are given.
    """

    def __init__(self, pipeline: Pipeline | None, route: ResolvedRoute | None, context: StageContext) -> None:
        own = pipeline_of(route.pipeline, context) if route is not None else None
        when = route.when if route is not None else None
        self._first = pipeline
        self._second = own
        self._admit: Callable[[Event], Slot] | None = admission(when, context.views) if when else None

    async def through(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """What becomes of a batch."""
        if self._first is not None:
            slots = await self._first.apply(slots)
        if self._admit is not None:
            slots = [self._admit(slot) if isinstance(slot, Event) else slot for slot in slots]
        return slots if self._second is None else await self._second.apply(slots)

    async def close(self) -> None:
        """Release what stages hold."""
        for pipeline in (self._first, self._second):
            if pipeline is not None:
                await pipeline.close()


class _Printer:
    """Prints events, up to a number of them.

    Args:
        encoder: Makes JSON of them.
        form: How they are printed.
        limit: How many; 0 for all.
    """

    def __init__(self, encoder: CloudEventsEncoder, form: Format, limit: int) -> None:
        self._encoder = encoder
        self._form = form
        self._left = limit or math.inf

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be printed."""
        return self._left <= 0

    def take(self, slot: Slot) -> None:
        """Print it, or say why it would not be delivered; what is filtered is no news."""
        if self.is_done or isinstance(slot, Filtered):
            return
        if isinstance(slot, Parked):
            _say_parked(slot.event, slot.reason)
            return
        try:
            text = self._encoder.encode(slot) if self._form is Format.JSON else event_text(slot)
        except EncodingError as error:
            _say_parked(slot, str(error))
            return
        typer.echo(text)
        self._left -= 1


async def _follow(source: Source, since_secs: float | None, passage: _Passage, printer: _Printer) -> None:
    start = await source.now()  # asked in any case: a reader would wait for a server that is away
    if since_secs is not None:
        start = source.at(ClusterTime(max(0, math.floor(time.time() - since_secs)), 0))
    reader = source.reader(start)
    try:
        while not printer.is_done:
            batch = await reader.next()
            if batch is None:
                return
            for slot in await passage.through(batch.slots):
                printer.take(slot)
    finally:
        await reader.close()


def _say_parked(event: Event, reason: str) -> None:
    note(printable(f"becomes a dead letter: {event.operation} {event.id}: {reason}"))
