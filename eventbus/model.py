"""The words of the domain as values: positions, events, batches, messages, outcomes.

Everything here is immutable in meaning and free of I/O. Sources make events, stages replace them, routes
deliver them. Nothing in this module knows a database, a sink or a configuration file.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

from eventbus.canonical import canonical_json

__all__ = [
    "DELIVERED",
    "Batch",
    "Claim",
    "ClusterTime",
    "DeadLetter",
    "Delivered",
    "Event",
    "FailedAttempt",
    "Failure",
    "Fault",
    "Filtered",
    "Message",
    "Operation",
    "Origin",
    "Outcome",
    "Parked",
    "Position",
    "PositionKind",
    "Prepared",
    "Rejected",
    "Retry",
    "Section",
    "Slot",
    "Snapshot",
    "Taken",
]

Section: TypeAlias = bytes | Mapping[str, Any] | None
"""One part of a change: raw BSON as the server sent it, or a decoded document, or absent."""


class ClusterTime(NamedTuple):
    """A point of the cluster's logical clock: seconds since 1970 and a counter within the second."""

    seconds: int
    increment: int


class PositionKind(StrEnum):
    """What a position's token stands for, since it decides how a stream may resume from it."""

    EVENT = "event"
    IDLE = "idle"
    INVALIDATE = "invalidate"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a snapshot has come: the documents that are there already, read beside the stream.

    Args:
        id: Names it; the ids of the events that it makes derive from it.
        scope: What it reads, in the source's own form.
        collection: The namespace that it is at; empty before the first.
        after: The key of the last document that was read there, as raw BSON; None before the first.
        read: How many documents were read so far.
        total: How many there are, by the source's estimate when it began.
        is_finished: Whether it has read them all.
    """

    id: str
    scope: bytes = b""
    collection: str = ""
    after: bytes | None = None
    read: int = 0
    total: int = 0
    is_finished: bool = False


class Origin(StrEnum):
    """How a route came to a position, where its target keeps one of its own and both must be weighed."""

    REACHED = "reached"
    """By settling everything before it."""
    FRESH = "fresh"
    """It is the first one: nothing was known of the route here."""
    SET = "set"
    """An operator moved it there."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source's order, and how to resume from it.

    Args:
        token: Text whose byte order is the source's order. For MongoDB it is the resume token's ``_data``.
        kind: What the token stands for; after an invalidate only ``startAfter`` resumes.
        cluster_time: The cluster time inside the token, where the source has one.
        extra: Further parts of the resume token that must be handed back unread, such as ``_typeBits``.
        snapshot: The snapshot under way at this place; None if there is none.
        origin: How the route came here; it makes no two places different.
        committed: Token of the last position that the route's target is known to keep itself; empty if it
            keeps none.
    """

    token: str
    kind: PositionKind = PositionKind.EVENT
    cluster_time: ClusterTime | None = None
    extra: bytes | None = None
    snapshot: Snapshot | None = None
    origin: Origin = field(default=Origin.REACHED, compare=False)
    committed: str = ""


class Operation(StrEnum):
    """The kinds of change that carry a document. Other kinds keep the server's own name."""

    INSERT = "insert"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


_Encoded: TypeAlias = "tuple[object, bytes, _Encoded | None]"
"""An encoder, what it made of an event, and what others made of it before: they are few."""


class Event:
    """One change, in the form that every stage and sink sees.

    The parts ``document_key``, ``document``, ``before`` and ``changed`` stay raw BSON until somebody looks
    into them. ``id``, ``key`` and ``key_hash`` are computed on first use and kept.

    Args:
        token: The event's place in its source's order (see `Position.token`).
        operation: ``insert``, ``update``, ``replace``, ``delete``, ``read`` or the server's own name of
            another kind, for instance ``drop``.
        database: Name of the database, empty for a change of the whole cluster.
        collection: Name of the collection, empty for a change of the whole database.
        cluster_time: When the change was committed, on the cluster's clock.
        time_ms: Wall-clock time of the change in milliseconds since 1970, as the source recorded it.
        document_key: The ``_id`` (and shard key) of the document; None for changes without a document.
        document: The document after the change, as far as the source was told to give it.
        before: The document before the change, where images are kept.
        changed: For an update, a map from changed path to new value.
        removed: For an update, the paths that were removed.
        size: Bytes of the change as it was read.
        key: What ordering is promised for; None means namespace and document key.
        fragment: Index within a split event; part of the identity.
        kind: The kind of position at this event.
        attributes: Values that stages have set, by name.
        extra: What the position at this event needs besides (see `Position.extra`).
        id: Names the event where its token does not, since another reading may find another token.
        snapshot: How far the snapshot has come that is under way at this event (see `Position.snapshot`).
        details: What else the source tells of the change, by name; None for most changes.
    """

    __slots__ = (
        "_encoded",
        "_id",
        "_key",
        "_key_hash",
        "attributes",
        "before",
        "changed",
        "cluster_time",
        "collection",
        "database",
        "details",
        "document",
        "document_key",
        "extra",
        "fragment",
        "kind",
        "operation",
        "removed",
        "size",
        "snapshot",
        "time_ms",
        "token",
    )

    def __init__(
        self,
        *,
        token: str,
        operation: str,
        database: str,
        collection: str,
        cluster_time: ClusterTime | None = None,
        time_ms: int = 0,
        document_key: Section = None,
        document: Section = None,
        before: Section = None,
        changed: Section = None,
        removed: Sequence[str] = (),
        size: int = 0,
        key: bytes | None = None,
        fragment: int = 0,
        kind: PositionKind = PositionKind.EVENT,
        attributes: Mapping[str, Any] | None = None,
        extra: bytes | None = None,
        id: str | None = None,  # noqa: A002 - the word that everybody knows it by
        snapshot: Snapshot | None = None,
        details: Section = None,
    ) -> None:
        self.token = token
        self.operation = operation
        self.database = database
        self.collection = collection
        self.cluster_time = cluster_time
        self.time_ms = time_ms
        self.document_key = document_key
        self.document = document
        self.before = before
        self.changed = changed
        self.removed = removed
        self.size = size
        self.fragment = fragment
        self.kind = kind
        self.attributes = attributes
        self.extra = extra
        self.snapshot = snapshot
        self.details = details
        self._id = id
        self._key = key
        self._key_hash: int | None = None
        self._encoded: _Encoded | None = None

    @property
    def id(self) -> str:
        """32 hexadecimal digits that are the same for the same change, whoever reads it and however often."""
        if self._id is None:
            text = f"{self.token}:{self.fragment}" if self.fragment else self.token
            digest = _EMPTY_DIGEST.copy()  # quicker than to make one
            digest.update(text.encode())
            self._id = digest.hexdigest()
        return self._id

    @property
    def key(self) -> bytes:
        """Canonical JSON of what ordering is promised for; by default of namespace and document key."""
        if self._key is None:
            self._key = b'{"ns":%b,"document_key":%b}' % (
                _namespace(self.database, self.collection),
                canonical_json(self.document_key),
            )
        return self._key

    @property
    def key_hash(self) -> int:
        """A number below 2**32 by which lanes are chosen; the same in every process."""
        if self._key_hash is None:
            self._key_hash = crc32(self.key)
        return self._key_hash

    @property
    def position(self) -> Position:
        """The position just after this event."""
        return Position(self.token, self.kind, self.cluster_time, self.extra, self.snapshot)

    @property
    def is_barrier(self) -> bool:
        """Whether the change concerns no single document, so that nothing may pass it in either direction."""
        return self.document_key is None

    @property
    def event(self) -> Event:
        """Itself, so that every kind of slot has its event under one name."""
        return self

    def revised(self, **parts: Any) -> Event:
        """The same change with some parts replaced, by their names; its place, id and key stay."""
        if not parts.keys() <= _FREE:
            self._id, self._key = self.id, self.key
        revised = object.__new__(Event)
        for name in _KEPT:
            setattr(revised, name, getattr(self, name))
        revised._encoded = None
        if "key" in parts:
            revised._key_hash = None
        for name, part in parts.items():
            setattr(revised, _HIDDEN.get(name, name), part)
        return revised

    @property
    def is_own(self) -> bool:
        """Whether the daemon itself says it, and no change of the source does."""
        return self.operation.startswith(_OWN)

    def encoded(self, encoder: object) -> bytes | None:
        """What `encoder` made of this event earlier, so that routes of equal encoding share the work."""
        kept = self._encoded
        while kept is not None:
            if kept[0] is encoder:
                return kept[1]
            kept = kept[2]
        return None

    def keep_encoded(self, encoder: object, body: bytes) -> None:
        """Remember what `encoder` made of this event."""
        self._encoded = (encoder, body, self._encoded)

    def __repr__(self) -> str:
        return f"<Event {self.operation} {self.database}.{self.collection} {self.token[-12:]}>"


@lru_cache(maxsize=1024)
def _namespace(database: str, collection: str) -> bytes:
    """Canonical JSON of a namespace: few of them have many events."""
    return canonical_json(f"{database}.{collection}")


_EMPTY_DIGEST: Final = hashlib.blake2b(digest_size=16)
_OWN: Final = "eventbus."
_KEPT: Final = tuple(name for name in Event.__slots__ if name != "_encoded")
_HIDDEN: Final = {"id": "_id", "key": "_key"}
_FREE: Final = frozenset({"attributes", "before", "changed", "details", "document", "removed", "size"})
"""The parts on which neither the id nor the key depends."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A slot of a batch whose event a stage deliberately dropped."""

    event: Event


@dataclass(frozen=True, slots=True)
class Parked:
    """A slot of a batch whose event must become a dead letter on every route, with the reason."""

    event: Event
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event that a route has taken and put through its stages already, since they go by the order.

    Args:
        event: The event as it was taken: what becomes a dead letter.
        made: What is encoded of it.
    """

    event: Event
    made: Event


Slot: TypeAlias = Event | Filtered | Parked
Taken: TypeAlias = Event | Parked | Prepared
"""What a route has open."""


class Batch:
    """What one poll returned, in source order, and the position after it.

    Args:
        slots: One entry for each change that was read; the length never changes on the way to the routes.
        end: Everything up to here is in this batch or an earlier one. It may lie beyond the last slot, and
            an idle poll has no slots at all.
        read_at: When it was there, in seconds of the loop's clock; whoever polls it says so.
    """

    __slots__ = ("barriers", "end", "read_at", "sizes", "slots", "tokens")

    def __init__(self, slots: Sequence[Slot], end: Position, read_at: float = 0.0) -> None:
        self.slots = slots
        self.end = end
        self.read_at = read_at
        events = [slot.event for slot in slots]
        self.tokens = [event.token for event in events]
        self.sizes = list(accumulate([event.size for event in events], initial=0))
        """Bytes of the events before each slot, and last of all of them."""
        self.barriers = [
            place
            for place, event in enumerate(events)
            if event.document_key is None and not isinstance(slots[place], Filtered)
        ]
        """Places of the slots that nothing may pass."""

    def after(self, token: str) -> int:
        """Index of the first slot beyond `token`."""
        return bisect_right(self.tokens, token)

    def barrier_after(self, place: int) -> int:
        """The place of the first barrier at `place` or behind it; if there is none, that behind the batch."""
        at = bisect_left(self.barriers, place)
        return self.barriers[at] if at < len(self.barriers) else len(self.slots)

    def __len__(self) -> int:
        return len(self.slots)


@dataclass(frozen=True, slots=True)
class Claim:
    """Content that is too large for a message: it is stored, and the message tells where.

    Args:
        bucket: Where it is stored.
        id: What it is stored as; it derives from the event and the content.
        content: What the message would have been.
        content_type: Its media type.
        keep_secs: How long it is kept at least.
    """

    bucket: str
    id: str
    content: bytes
    content_type: str
    keep_secs: float


class Message:
    """An event encoded for one sink.

    Args:
        event: What it was made from.
        body: The bytes that go over the wire as the message's content; none at all for a tombstone.
        key: Bytes of the message's key, where the sink has one.
        target: Where in the sink it goes: a topic, a stream, a path.
        headers: Further pairs for the wire.
    """

    __slots__ = ("body", "claim", "event", "headers", "key", "target", "traced")

    def __init__(
        self,
        event: Event,
        body: bytes,
        *,
        key: bytes | None = None,
        target: str = "",
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        self.event = event
        self.body = body
        self.key = key
        self.target = target
        self.headers = headers
        self.claim: Claim | None = None
        """What must be stored before the message may go out; None if nothing must, or it is."""
        self.traced = 0
        """How many attempts have sent it that were traced."""


class Fault(StrEnum):
    """Whose fault a failed attempt is. It decides what the failure costs."""

    UNAVAILABLE = "unavailable"
    """The sink cannot be talked to or asks us to wait: no event's budget is spent, the circuit counts it."""
    UNAUTHORISED = "unauthorised"
    """The sink refuses us: the circuit opens at once and says so."""
    FAILED = "failed"
    """The sink failed on this attempt: it spends the event's budget while other keys succeed."""


class Failure(StrEnum):
    """What kind of failure it was: for metrics, for dead letters, and for whoever searches them."""

    NETWORK = "network"
    """The target cannot be reached: refused, reset, no such name, TLS."""
    TIMEOUT = "timeout"
    """It did not answer in time."""
    THROTTLED = "throttled"
    """It asks for less, or for later."""
    SERVER = "server"
    """It failed on its side."""
    UNAUTHORISED = "unauthorised"
    """It refuses us, whatever we send."""
    REJECTED = "rejected"
    """It refuses this message."""
    TOO_LARGE = "too_large"
    """The message is larger than it takes."""
    ENCODING = "encoding"
    """The event has no such form."""
    STAGE = "stage"
    """A stage of the pipeline, or the source, could not handle the event."""
    HELD = "held"
    """Nothing failed: an earlier event of its key is a dead letter, and the key is held."""
    BUG = "bug"
    """A sink or an encoder raised what it should not."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The sink has the message durably, by its own word."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The sink does not have the message, or did not say so; try again.

    Args:
        fault: Whose fault it is.
        reason: One line for people, without secrets and without document content.
        after_secs: What the sink asked us to wait, if it did.
        kind: What kind of failure it was.
        detail: What the target said besides, without secrets; for dead letters, never for logs.
        pauses: Whether the target wants nothing more: the route is paused until an operator resumes it.
    """

    fault: Fault
    reason: str
    after_secs: float | None = None
    kind: Failure = Failure.SERVER
    detail: str = ""
    pauses: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The sink will never take this message; park it at once.

    Args:
        reason: One line for people, without secrets.
        kind: What kind of failure it was.
    """

    reason: str
    kind: Failure = Failure.REJECTED


Outcome: TypeAlias = Delivered | Retry | Rejected
DELIVERED: Final = Delivered()


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One try that failed.

    Args:
        at_ms: When, in milliseconds since 1970 on the daemon's clock.
        kind: What kind of failure it was.
        reason: One line for people.
    """

    at_ms: int
    kind: Failure
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event durably set aside with its reason.

    Args:
        subscription: Name of the subscription.
        route: Name of the route that could not deliver it.
        event: The event as it was read.
        reason: Why, in one line.
        attempts: How many tries were made; 0 if it could not even be encoded.
        body: The encoded message, if there was one.
        errors: The attempts that failed, oldest first; the last ones, if there were many.
        kind: What kind of failure it was.
        held_behind: Id of the dead letter of the same key that this event waits behind, if it only waits.
        config: Names the version of the configuration that failed to deliver it.
        expire_after_secs: How long it is kept; None for ever.
    """

    subscription: str
    route: str
    event: Event
    reason: str
    attempts: int = 0
    body: bytes | None = None
    errors: tuple[FailedAttempt, ...] = field(default=())
    kind: Failure = Failure.REJECTED
    held_behind: str | None = None
    config: str = ""
    expire_after_secs: float | None = None
