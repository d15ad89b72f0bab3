"""What a sink, a source or a stage is: the interface of the built-in ones and of every plugin.

A plugin package depends on this module alone and registers its class under one of the entry point groups
``eventbus.sinks``, ``eventbus.sources`` or ``eventbus.stages``; the name of the entry point is the ``type``
that users write.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict

from eventbus.encoding.keys import KeyTemplate, KeyText
from eventbus.encoding.template import Template, TemplateText
from eventbus.errors import (
    ConfigurationError,
    EncodingError,
    EventbusError,
    LeaseLost,
    NoForm,
    PositionLost,
    Unreachable,
)
from eventbus.expressions.change import Change
from eventbus.expressions.expression import Condition, Expression, ExpressionError
from eventbus.expressions.view import View, Views
from eventbus.model import (
    DELIVERED,
    Batch,
    ClusterTime,
    Delivered,
    Event,
    Failure,
    Fault,
    Filtered,
    Message,
    Operation,
    Outcome,
    Parked,
    Position,
    PositionKind,
    Rejected,
    Retry,
    Slot,
    Snapshot,
)
from eventbus.units import Duration, Size

__all__ = [
    "DELIVERED",
    "Batch",
    "Carries",
    "Change",
    "ClusterTime",
    "Collections",
    "Commit",
    "Condition",
    "ConfigurationError",
    "Delivered",
    "Duration",
    "Encoded",
    "Encoder",
    "EncodingError",
    "Event",
    "EventbusError",
    "ExhaustibleReader",
    "ExplainedSource",
    "Expression",
    "ExpressionError",
    "Failure",
    "Fault",
    "Filtered",
    "KeyTemplate",
    "KeyText",
    "LeaseLost",
    "Message",
    "NoForm",
    "OnPositionLost",
    "Operation",
    "Options",
    "Outcome",
    "Parked",
    "Position",
    "PositionKind",
    "PositionLost",
    "ProbeStep",
    "ProbedSink",
    "Reader",
    "Refused",
    "Rejected",
    "Retry",
    "Sink",
    "SinkTraits",
    "Size",
    "Slot",
    "Snapshot",
    "SnapshotMode",
    "SnapshotSource",
    "Source",
    "SourceContext",
    "SourcePolicy",
    "Stage",
    "StageContext",
    "Template",
    "TemplateText",
    "TransactionalSink",
    "Transactions",
    "Unreachable",
    "View",
    "Views",
    "carried_by",
]


class Options(BaseModel):
    """Base of the options that users write for a sink, a source or a stage: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Encoded: TypeAlias = Message | Rejected


class Encoder(Protocol):
    """Turns an event into the bytes of a message; routes of equal encoding share one encoder."""

    content_type: str

    def encode(self, event: Event) -> bytes:
        """The message's content. Empty for a tombstone: the document is gone.

        Raises:
            NoForm: This form is not meant for such events; it is filtered.
            EncodingError: This event cannot be written in this form; it is parked.
        """

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:
        """What belongs into the message's headers, as this sink writes it; nothing for a sink without any."""


@dataclass(frozen=True, slots=True)
class Carries:
    """What messages of a sink can be like: its class says so in ``carries``, so that validation knows.

    A class that says nothing takes any bytes, and has neither headers nor tombstones.

    Args:
        attributes: What the names of headers begin with that hold attributes of CloudEvents in binary mode;
            None for a sink without headers. With ``ce-`` the values are percent-encoded, as HTTP asks for.
        tombstones: Whether a message without content tells that a document is gone, and of which key.
        any_bytes: Whether the content may be any bytes; otherwise it must be text of one line.
    """

    attributes: Literal["ce_", "ce-"] | None = None
    tombstones: bool = False
    any_bytes: bool = True


def carried_by(sink: object) -> Carries:
    """What a sink, or a class of sinks, says of its messages."""
    carries = getattr(sink, "carries", None)
    return carries if isinstance(carries, Carries) else Carries()


@dataclass(frozen=True, slots=True)
class SinkTraits:
    """What a route must know of a sink in order to feed it.

    Args:
        lanes: How many ordered workers a route has unless its configuration says otherwise.
        max_batch: The most messages that one `Sink.send` takes.
        max_batch_bytes: The most bytes of content that one `Sink.send` takes; a single larger message is
            still offered alone.
        keeps_order: Whether the messages of one `send` take effect in their order, so that one call may
            hold several messages of one key.
        concurrency: How many `send` calls may be under way at once, over all routes; None for no bound.
        max_slice: The most messages that one `Transactions.commit` takes; None for `max_batch`.
        max_slice_bytes: The most bytes of content that one `Transactions.commit` takes, where a single
            larger message is still offered alone; None for `max_batch_bytes`.
    """

    lanes: int = 4
    max_batch: int = 1
    max_batch_bytes: int = 1 << 20
    keeps_order: bool = False
    concurrency: int | None = None
    max_slice: int | None = None
    max_slice_bytes: int | None = None


@runtime_checkable
class Sink(Protocol):
    """A target system. Declared once, used by any number of routes at the same time.

    It is constructed as ``cls(name, options)`` without any I/O.
    """

    Options: ClassVar[type[BaseModel]]
    """The model of what users write under ``sinks.<name>``, less the key ``type``."""

    name: str
    traits: SinkTraits

    async def open(self) -> None:
        """Connect. Called until it succeeds before the first `send`, by one task at a time.

        Raises:
            Unreachable: Try again later.
            ConfigurationError: Trying again is of no use.
        """

    async def close(self) -> None:
        """Release everything. Bounded in time; nothing is under way any more."""

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """Make the message for this sink, or say why there can be none. No I/O.

        Raises:
            EncodingError: The same as returning Rejected.
        """

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Make one attempt for each message.

        Args:
            messages: At least one; no key twice unless the sink keeps order.

        Returns:
            One outcome for each message, in the same order. Delivered only on the target's own word that it
            has the message. Failures are outcomes, not exceptions; an exception is a bug of the sink and
            counts as a failed attempt of every message.
        """


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step on the way to a sink's target.

    Args:
        name: ``resolve``, ``connect``, ``tls``, ``authenticate`` or ``open``.
        ok: Whether it was taken.
        detail: What was found, or why it failed, in one line without secrets.
    """

    name: str
    ok: bool
    detail: str


@runtime_checkable
class ProbedSink(Sink, Protocol):
    """A sink that opens step by step for ``eventbus sink test``; one that does not is opened at once."""

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """Open, and tell of each step when it was taken, or was tried in vain.

        A step that failed need not be the end: another server may do. If the last one was taken, the sink is
        open.

        Raises:
            ConfigurationError: Trying again is of no use.
        """


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of a slice took effect, because of some of its messages.

    Args:
        by: What came of these, by their index: Rejected, or Retry with a fault of the message's own. The
            others were not judged.
    """

    by: Mapping[int, Rejected | Retry]


Commit: TypeAlias = Delivered | Refused | Retry
"""What came of a slice: all of it and its position took effect; nothing, because of some of its messages;
nothing or all, one cannot tell, because of the target."""


class Transactions(Protocol):
    """What a target holds of one route whose position it keeps, in one transaction with its messages."""

    async def claim(self, epoch: int) -> bytes | None:
        """Shut out every owner with a lower epoch, and then read the position.

        What such an owner has under way takes effect before this returns, or never. It may be called again,
        with the same epoch.

        Args:
            epoch: The epoch of the lease; it grows with every owner.

        Returns:
            The position of the last slice that took effect, as `commit` was given it; None if none ever did.

        Raises:
            LeaseLost: An owner with a higher epoch has claimed it.
            Unreachable: Try again later.
            ConfigurationError: Trying again is of no use.
        """

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """Have messages and a position take effect together, or neither.

        A slice whose fate is unknown is given again, with the same position: if it took effect, it does not
        do so twice, and Delivered is the answer.

        Args:
            messages: In source order, a key perhaps more than once; perhaps none, if only the position moves.
            position: To be kept as it is; no other slice has an equal one.

        Raises:
            LeaseLost: An owner with a higher epoch has claimed it, or the target keeps another position than
                it was left with, as after a restore; nothing took effect.
        """

    async def close(self) -> None:
        """Release what this holds. Bounded in time; nothing is under way any more."""


@runtime_checkable
class TransactionalSink(Sink, Protocol):
    """A sink whose target keeps a route's position beside the route's data: for ``delivery: exactly_once``.

    `Sink.send` stays in use for what is no part of the route's history: replays, gaps and watermarks.
    """

    def transactions(self, route: str) -> Transactions:
        """Those of one route. No I/O happens here; they are used only while the sink is open.

        Args:
            route: Names the route in the target: ``<subscription>/<route>``.
        """


class Reader(Protocol):
    """One cursor reading a source from a position."""

    @property
    def trouble(self) -> str | None:
        """Why it cannot read at the moment, for people; None while it can."""

    async def next(self) -> Batch | None:
        """Wait for changes and return what came; empty batches tell that the position moved.

        It resumes by itself after every fault that can pass, with backoff, for ever.

        Returns:
            The next batch; None once `close` was called, or when a bounded reader reached its end.

        Raises:
            PositionLost: The source no longer has what comes next.
            ConfigurationError: The source refuses the subscription as it is configured.
        """

    async def close(self) -> None:
        """Stop soon: a poll that is waiting returns, a cursor at the server is given up. Idempotent."""


@runtime_checkable
class ExhaustibleReader(Reader, Protocol):
    """A reader whose position stays at the last change while nothing comes, and which says so instead.

    Whoever reads a stretch of the past waits for its end; a position that moves only with changes need never
    reach it.
    """

    @property
    def is_exhausted(self) -> bool:
        """Whether the last `next` began with all that the source had, and found nothing behind its end."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the daemon hands to a source when it makes one.

    Args:
        subscription: Name of the subscription that it reads for.
        client: The daemon's `pymongo.AsyncMongoClient` for reading, apart from the one for its own state.
        own_database: Name of the database on the source cluster that holds the daemon's own collections,
            which must never be read as changes; None where the state is elsewhere.
        own_collection: Database and name of a further collection there whose changes must never be read:
            that of the heartbeat.
    """

    subscription: str
    client: Any
    own_database: str | None
    own_collection: tuple[str, str] | None = None


class SnapshotMode(StrEnum):
    """When the documents that are there already are read before, or beside, their changes."""

    NEVER = "never"
    """Only when an operator asks for it."""
    INITIAL = "initial"
    """When a route begins that has no position."""
    WHEN_NEEDED = "when_needed"
    """The same, and when the source has lost a route's position."""


class OnPositionLost(StrEnum):
    """What becomes of a route whose position the source no longer has. There is a gap in any case."""

    STOP = "stop"
    """It stops, and says so, until an operator decides."""
    SNAPSHOT = "snapshot"
    """It goes on from now, and reads all documents beside."""
    OLDEST = "oldest"
    """It goes on from the oldest change that the source still has."""
    NOW = "now"
    """It goes on from now."""


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What users decided about a source that does not concern the source alone.

    Args:
        snapshot: When documents that are there already are read.
        on_position_lost: What becomes of a route whose position is lost.
        tells_gaps: Whether the sinks of a route hear of its gaps, as events of type ``eventbus.gap``.
    """

    snapshot: SnapshotMode = SnapshotMode.NEVER
    on_position_lost: OnPositionLost = OnPositionLost.STOP
    tells_gaps: bool = True


@runtime_checkable
class Source(Protocol):
    """Where the changes of one subscription come from.

    It is constructed as ``cls(options, context)`` without any I/O. A class may have a static method
    ``sets(options)`` that gives the names which its events have besides those that every event has.
    """

    Options: ClassVar[type[BaseModel]]
    """The model of what users write under ``source``, less the key ``type``."""

    policy: SourcePolicy

    async def check(self) -> None:
        """Try everything that can be tried without reading: address, rights, the filter's syntax.

        Raises:
            Unreachable: The source does not answer now.
            ConfigurationError: It answers, and refuses; the text says what and where.
        """

    async def now(self) -> Position:
        """The position of the present moment: a reader from it sees every later change.

        Raises:
            Unreachable: The source does not answer now.
        """

    async def oldest(self) -> Position:
        """The position just before the oldest change that a reader can still be given.

        Raises:
            Unreachable: The source does not answer now.
            ConfigurationError: It may not be asked.
        """

    def at(self, time: ClusterTime) -> Position:
        """The position just before everything that was committed at `time`. No I/O happens here."""

    def position(self, token: str) -> Position:
        """The position that a token stands for, as people copy it from a log or a table. No I/O happens here.

        Raises:
            ConfigurationError: It is no token of this source.
        """

    def reader(self, start: Position) -> Reader:
        """A reader of everything after `start`. No I/O happens here."""


@runtime_checkable
class ExplainedSource(Source, Protocol):
    """A source that can say for ``eventbus explain`` what of it runs elsewhere."""

    def explain(self) -> Mapping[str, Any]:
        """Values that JSON can hold; there is no connection to ask.

        ``scope`` has ``kind``, ``database`` and ``collections``; ``command`` the ``database``, the target
        ``aggregate`` and ``options``; each of ``stages`` has ``option``, ``why`` and ``stage``; ``names`` are
        those that events have besides those that every event has. What does not apply is left out.
        """


@runtime_checkable
class SnapshotSource(Source, Protocol):
    """A source that can also read what is there already.

    Its `reader` of a position with a `Snapshot` that is not finished reads documents between the changes, as
    events of the operation ``read``. Each is given once, at a place among the changes where it is neither
    older than a change of its key before it nor newer than one after it. Every event and every batch's end
    carries how far the snapshot has come there; a finished one is carried on.

    No document comes before the place that was the present when the reader was opened: up to there an earlier
    reader may have given everything, and a sink that knows the changes again would be left with an old state.
    """

    async def begin_snapshot(
        self, snapshot_id: str, *, collections: Sequence[str] = (), match: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """A snapshot that has read nothing yet, to be put into a position of this source.

        Args:
            snapshot_id: Names it.
            collections: Which collections to read, of those that the source reads; none for all of them.
            match: Which documents to read, as a filter of the source; None for all of them.

        Raises:
            Unreachable: The source does not answer now.
            ConfigurationError: There is nothing of that kind to be read.
        """


class Collections(Protocol):
    """The collections of the deployment whose changes are read, for stages that look something up."""

    async def find(
        self,
        database: str,
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,
    ) -> Sequence[Mapping[str, Any]] | None:
        """The documents of which a field has one of some values; one query, however many values there are.

        Args:
            database: Name of the database.
            collection: Name of the collection; one that is not there has no documents.
            field: Path of the field.
            values: What it may be, in the driver's types; at least one.
            fields: Paths to bring, besides ``_id`` and `field`; none for whole documents.
            at: As of which cluster time; None for now.

        Returns:
            The documents, in no order; None if the server no longer has that time.

        Raises:
            Unreachable: The server does not answer now, or refuses.
        """

    async def has(self, database: str, collection: str) -> bool:
        """Whether there is such a collection, or a view.

        Raises:
            Unreachable: The server does not answer now, or refuses.
        """


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage is given besides its options.

    Args:
        subscription: Name of the subscription.
        service: Name of its service.
        views: Gives events as conditions see them; stages that share it decode an event once.
        collections: What stages that wait may look something up in.
        label: How people know the stage: its type, and its place or name.
    """

    subscription: str
    service: str | None
    views: Views
    collections: Collections | None = None
    label: str = ""


class Stage(Protocol):
    """One step of a pipeline: a batch in, a batch of the same length out.

    A class of stages is made as ``cls(options, context)`` from its pydantic model ``Options`` and a
    `StageContext`. Conditions and expressions among the options are checked when the configuration is read.
    A class may have ``short``, the name of the option that is meant where users write a value alone, and
    ``short_maps = True`` if that value is a mapping. It may have a static method ``sets(options)`` that gives
    the names which its events have from there on.

    A stage whose ``apply`` waits for anything says ``waits = True`` in its class; it belongs in a
    subscription's pipeline. One whose results depend on events that it was given before says
    ``remembers = True``; it belongs in a route's pipeline, where it is given each event once, in source
    order, and is made anew for each life of the route. Both may be static methods of the options instead. If
    it drops events on the word of others that went on, it says ``comes_last = True`` as well: what a stage
    behind it drops would be lost.

    A stage may have ``async def close()``, which releases what it holds, bounded in time; `apply` may be
    called again after that. Several tasks may be in `apply` of one stage at the same time, and the same event
    may come again.

    A class whose stages are there to keep fields from whoever comes behind says ``hides = True``: copies of
    dead letters have no documents then.

    A class whose stages look into no document but where their options name one, in an expression or a target,
    says ``looks_where_told = True``, for ``eventbus explain``.
    """

    name: str

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """Replace, filter or park events.

        Args:
            slots: In source order. Slots that are Filtered or Parked are to be passed through.

        Returns:
            As many slots as were given, each with the token it had.

        Raises:
            Unreachable: Nothing can be said of these events now; they are given again until it can, and
                nothing goes past them.
        """
