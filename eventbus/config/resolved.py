"""A checked configuration as values: every name resolved, every default filled in.

This is all that the rest of the program sees of a configuration. Showing it reveals no secret: options of
plugins, which may hold any, are left out of its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr

from eventbus.config.models import (
    BatchPolicy,
    CatchUpPolicy,
    CircuitPolicy,
    DaemonSection,
    DeadLetterPolicy,
    DeadLettersSection,
    EncodingPolicy,
    HeartbeatSection,
    LogSection,
    PriorityPolicy,
    RetryPolicy,
    ServerSection,
    TracingSection,
    WindowPolicy,
)
from eventbus.config.notices import NoticesSection
from eventbus.expressions.expression import Condition, Expression
from eventbus.registry import SinkClass, SourceClass, StageClass, made
from eventbus.sdk import Sink, Source, SourceContext, Stage, StageContext

__all__ = [
    "Config",
    "MongoDBAccess",
    "MongoDBState",
    "ResolvedRoute",
    "ResolvedSink",
    "ResolvedSource",
    "ResolvedStage",
    "ResolvedSubscription",
    "SQLiteState",
]


@dataclass(frozen=True, slots=True)
class MongoDBAccess:
    """How to reach a MongoDB deployment.

    Args:
        uri: Its address.
        settings: Further arguments of the driver's client, which go before what the address says.
    """

    uri: SecretStr
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class MongoDBState:
    """Leases, positions and dead letters are kept in MongoDB.

    Args:
        access: How to reach the deployment.
        database: The database that is ours.
    """

    access: MongoDBAccess
    database: str


@dataclass(frozen=True, slots=True)
class SQLiteState:
    """Leases, positions and dead letters are kept in a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class ResolvedSink:
    """A sink ready to be made.

    Args:
        type: What users call it.
        cls: What it is.
        options: Those of its type.
        rate: Events each second over all routes; None for no bound.
        concurrency: Calls at once over all routes; None for the type's own bound.
        exactly_once: Whether its routes are delivered exactly once unless they say otherwise.
    """

    type: str
    cls: SinkClass
    options: BaseModel = field(repr=False)
    rate: float | None = None
    concurrency: int | None = None
    exactly_once: bool = False

    def make(self, name: str) -> Sink:
        """The sink of this name; no I/O.

        Raises:
            ConfigurationError: It cannot be made.
        """
        return made("sink", self.type, f"sinks.{name}", self.cls, name, self.options)


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """A source ready to be made."""

    type: str
    cls: SourceClass
    options: BaseModel = field(repr=False)

    def make(self, context: SourceContext) -> Source:
        """The source of a subscription; no I/O.

        Raises:
            ConfigurationError: It cannot be made.
        """
        place = f"subscriptions.{context.subscription}.source"
        return made("source", self.type, place, self.cls, self.options, context)


@dataclass(frozen=True, slots=True)
class ResolvedStage:
    """A stage ready to be made.

    Args:
        type: What users call it.
        cls: What it is.
        options: Those of its type.
        name: How it is called in messages; None for its type and its place.
        on_error: What becomes of an event that it cannot handle.
    """

    type: str
    cls: StageClass
    options: BaseModel = field(repr=False)
    name: str | None
    on_error: Literal["park", "pass", "drop", "stop"]

    def make(self, context: StageContext) -> Stage:
        """The stage at its place; no I/O.

        Raises:
            ConfigurationError: It cannot be made.
        """
        place = f"subscriptions.{context.subscription}: stage {context.label}"
        return made("stage", self.type, place, self.cls, self.options, context)


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """One subscription into one sink.

    Args:
        name: Unique in its subscription; the position is kept under it.
        sink: Name of the sink.
        when: Which events it takes; None for all.
        for_each: A list of which each item makes a message; None for one message of the event.
        pipeline: What happens to its events.
        retry: The route's own, over the defaults.
        window: The route's own, over the defaults.
        circuit: The route's own, over the defaults.
        dead_letters: The route's own, over the defaults.
        encoding: The route's own, over the defaults.
        batch: What one call carries.
        priority: Which events go before others; None for none.
        ordering: What an event waits for.
        rate: Events each second; None for no bound but the sink's.
        concurrency: Calls at once; None for no bound but the sink's.
        exactly_once: Whether the target keeps its position, in one transaction with its messages.
        holds_keys: Whether later events of a key wait behind its dead letter.
        lanes: How many ordered workers; None for what suits the sink.
        start: Where it begins if it has no position yet, as it was written.
        critical: Whether the daemon is unready while it lacks something.
        watermark_every: Seconds between two of its watermark events; None for none.
        version: Names what was written for its subscription and its sink.
    """

    name: str
    sink: str
    when: Condition | None
    for_each: Expression | None
    pipeline: Sequence[ResolvedStage]
    retry: RetryPolicy
    window: WindowPolicy
    circuit: CircuitPolicy
    dead_letters: DeadLetterPolicy
    encoding: EncodingPolicy
    batch: BatchPolicy
    priority: PriorityPolicy | None
    ordering: Literal["key", "none", "strict"]
    rate: float | None
    concurrency: int | None
    exactly_once: bool
    holds_keys: bool
    lanes: int | None
    start: str
    critical: bool
    watermark_every: float | None
    version: str


@dataclass(frozen=True, slots=True)
class ResolvedSubscription:
    """One source and the routes that it feeds.

    Args:
        name: Unique; lease and positions are kept under it.
        service: The service whose changes these are.
        source: Where the changes come from.
        pipeline: What happens to them before any route takes them.
        routes: At least one, in the order in which they were written.
        catch_up: How routes that fall behind are kept from holding up the others.
    """

    name: str
    service: str
    source: ResolvedSource
    pipeline: Sequence[ResolvedStage]
    routes: Sequence[ResolvedRoute]
    catch_up: CatchUpPolicy


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the user decided."""

    mongodb: MongoDBAccess
    read_preference: str | None
    heartbeat: HeartbeatSection | None
    state: MongoDBState | SQLiteState
    server: ServerSection
    log: LogSection
    daemon: DaemonSection
    dead_letters: DeadLettersSection
    tracing: TracingSection | None
    sinks: Mapping[str, ResolvedSink]
    subscriptions: Mapping[str, ResolvedSubscription]
    notices: NoticesSection | None
