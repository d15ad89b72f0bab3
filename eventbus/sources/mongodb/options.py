"""What users write under ``source`` for MongoDB, checked as far as it can be without talking to a server."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from eventbus.sdk import OnPositionLost, Options, SnapshotMode
from eventbus.sources.mongodb.classify import Classification, ClassifiedName
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.sources.mongodb.paths import ChangedPath
from eventbus.sources.mongodb.project import KeptPath
from eventbus.suggestions import did_you_mean, listed
from eventbus.units import Duration, Rate

__all__ = [
    "ALL_OPERATIONS",
    "EXPANDED_OPERATIONS",
    "OPERATIONS",
    "Before",
    "FullDocument",
    "LookupMissing",
    "MongoOptions",
    "SnapshotOptions",
]

OPERATIONS: Final = (
    "insert",
    "update",
    "replace",
    "delete",
    "drop",
    "rename",
    "dropDatabase",
    "invalidate",
)
"""Every kind of change that the server gives without being asked for more."""

EXPANDED_OPERATIONS: Final = (
    "create",
    "createIndexes",
    "dropIndexes",
    "modify",
    "shardCollection",
    "refineCollectionShardKey",
    "reshardCollection",
)
"""What it gives besides with ``expanded_events``."""

ALL_OPERATIONS: Final = "*"

_NOT_WATCHABLE: Final = frozenset({"admin", "config", "local"})
_NOT_IN_DATABASE_NAMES: Final = frozenset('/\\. "$*<>:|?\0')
_LONGEST_DATABASE_NAME: Final = 63

_SPLIT: Final = "$changeStreamSplitLargeEvent"
_NOT_ALLOWED: Final = frozenset(
    {
        "$bucket",
        "$bucketAuto",
        "$changeStream",
        "$collStats",
        "$count",
        "$currentOp",
        "$densify",
        "$documents",
        "$facet",
        "$fill",
        "$geoNear",
        "$graphLookup",
        "$group",
        "$indexStats",
        "$limit",
        "$listLocalSessions",
        "$listSessions",
        "$lookup",
        "$merge",
        "$out",
        "$planCacheStats",
        "$sample",
        "$search",
        "$searchMeta",
        "$setWindowFields",
        "$skip",
        "$sort",
        "$sortByCount",
        "$unionWith",
        "$unwind",
        "$vectorSearch",
    }
)
_ALLOWED: Final = (
    "$addFields",
    "$match",
    "$project",
    "$redact",
    "$replaceRoot",
    "$replaceWith",
    "$set",
    "$unset",
)
"""https://www.mongodb.com/docs/manual/changeStreams/#modify-change-stream-output"""


class FullDocument(StrEnum):
    """Whether and how an update brings the document after it."""

    DEFAULT = "default"
    UPDATE_LOOKUP = "update_lookup"
    WHEN_AVAILABLE = "when_available"
    REQUIRED = "required"


class LookupMissing(StrEnum):
    """What becomes of an update whose document was gone when it was looked up."""

    DELIVER_NULL = "deliver_null"
    SKIP = "skip"
    DEAD_LETTER = "dead_letter"


class Before(StrEnum):
    """Whether a change brings the document before it."""

    OFF = "off"
    WHEN_AVAILABLE = "when_available"
    REQUIRED = "required"


def _database(name: str) -> str:
    if name in _NOT_WATCHABLE:
        raise ValueError(f"{name} holds MongoDB's own data, whose changes it does not give")
    if not name or len(name.encode()) > _LONGEST_DATABASE_NAME or _NOT_IN_DATABASE_NAMES.intersection(name):
        raise ValueError("not a name that a database can have")
    return name


def _collection(name: str) -> str:
    if name.startswith("system."):
        raise ValueError(f"{name} holds MongoDB's own data, whose changes it does not give")
    if not name or name.startswith(".") or "$" in name or "\0" in name:
        raise ValueError("not a name that a collection can have")
    return name


def _collections(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("the list is empty: leave it out to read every collection")
    if len(set(names)) < len(names):
        raise ValueError("a collection is named twice")
    return names


def _operations(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("the list is empty: leave it out to read every operation")
    if ALL_OPERATIONS in names and len(names) > 1:
        raise ValueError('"*" stands for every operation: leave out the others')
    for name in names:
        if name not in (*OPERATIONS, *EXPANDED_OPERATIONS, ALL_OPERATIONS):
            guess = did_you_mean(name, (*OPERATIONS, *EXPANDED_OPERATIONS))
            raise ValueError(
                f'unknown operation {name!r}{guess} (known: {listed(OPERATIONS)}, or "*" for all)'
            )
    return names


def _mql(written: dict[str, Any]) -> dict[str, Any]:
    bson_values(written)
    return written


def _stage(written: dict[str, Any]) -> dict[str, Any]:
    if len(written) != 1:
        raise ValueError("a stage is a mapping with one key, such as $project")
    (name,) = written
    if name == _SPLIT:
        raise ValueError(f"{name} is added where the server has it: leave it out")
    if name in _NOT_ALLOWED:
        raise ValueError(f"{name} is not allowed in a change stream (allowed: {listed(_ALLOWED)})")
    if not name.startswith("$"):
        raise ValueError(f"{name!r} is not a stage{did_you_mean('$' + name, _ALLOWED)}")
    return _mql(written)


def _snapshot(written: Any) -> Any:
    return {"mode": written} if isinstance(written, str) else written


class SnapshotOptions(Options):
    """Reading the documents that are there already, beside their changes."""

    mode: SnapshotMode = SnapshotMode.NEVER
    """When it is done by itself: ``never``; ``initial``, when a route begins that has no position;
    ``when_needed``, also when MongoDB has lost a route's position."""
    rate: Rate | None = None
    """How many documents are read at most, of each route that has a snapshot under way."""
    chunk: int = Field(default=1000, ge=1, le=10_000)
    """How many documents one query brings at most; fewer where they are large."""
    parallel: int = Field(default=4, ge=1, le=16)
    """How many queries run at the same time."""
    pause_on_lag: Duration = Field(default=60.0, gt=0)
    """While the stream is further behind than this, only changes are read."""


class MongoOptions(Options):
    """Changes of collections, of a database or of a whole cluster."""

    database: Annotated[str, AfterValidator(_database)] | None = None
    """Name of the database; without it the changes of the whole cluster are read."""
    collections: (
        Annotated[tuple[Annotated[str, AfterValidator(_collection)], ...], AfterValidator(_collections)]
        | None
    ) = None
    """Names of collections of the database; without them all of its collections are read."""
    operations: Annotated[tuple[str, ...], AfterValidator(_operations)] = OPERATIONS
    """Which kinds of change to read: insert, update, replace, delete, drop, rename, dropDatabase, invalidate;
    or ``"*"`` for whatever the server gives, newer kinds included."""
    match: Annotated[dict[str, Any], AfterValidator(_mql)] | None = None
    """A filter in MQL that the server applies to each change, for instance ``{fullDocument.region: eu}``.
    Values may be Extended JSON, such as ``{$oid: ...}``. It holds for every kind of change: a delete has no
    fullDocument, so a filter on it drops deletes."""
    fields: Annotated[list[ChangedPath], Field(min_length=1)] | None = None
    """Paths of which an update must have touched one, or the server leaves it out; every other kind of change
    passes. Without it all updates pass."""
    classify: Annotated[dict[ClassifiedName, Classification], Field(min_length=1)] | None = None
    """Names that the server gives changes by cases; conditions and stages know them."""
    project: Annotated[list[KeptPath], Field(min_length=1)] | None = None
    """Paths that the server keeps of documents and of what updates changed; without it all of them. `_id`
    stays in any case."""
    pipeline: tuple[Annotated[dict[str, Any], AfterValidator(_stage)], ...] = ()
    """Further stages in MQL that the server applies after `match`, `fields`, `classify` and `project`. They
    must leave _id, operationType, ns and documentKey as they are."""
    full_document: FullDocument = FullDocument.DEFAULT
    """The document after an update: ``default`` none; ``update_lookup`` as it is when the change is read,
    which may be later or gone; ``when_available`` and ``required`` as it was, from the collection's
    changeStreamPreAndPostImages."""
    lookup_missing: LookupMissing = LookupMissing.DELIVER_NULL
    """What becomes of an update whose document was gone when ``update_lookup`` looked for it: it is delivered
    with null, skipped and counted, or made a dead letter."""
    before: Before = Before.OFF
    """The document before a change, from the collection's changeStreamPreAndPostImages."""
    delta: bool = False
    """Whether `changed` of an update has old and new values, ``{path: {old: ..., new: ...}}``, and not only
    the new ones. The old ones come from `before`."""
    expanded_events: bool = False
    """Whether to read what happens to collections, too: create, createIndexes, dropIndexes, modify, and on
    sharded clusters shardCollection, refineCollectionShardKey, reshardCollection."""
    on_position_lost: OnPositionLost = OnPositionLost.STOP
    """What becomes of a route whose position the server no longer has: ``stop`` until an operator decides;
    ``oldest`` or ``now`` to go on from there; ``snapshot`` to go on from now and read all documents beside.
    A gap is recorded in any case."""
    gap_events: bool = True
    """Whether the sinks of a route hear of its gaps, as events of type ``eventbus.gap``."""

    snapshot: Annotated[
        SnapshotOptions, BeforeValidator(_snapshot, json_schema_input_type=SnapshotMode | SnapshotOptions)
    ] = SnapshotOptions()
    """Reading the documents that are there already: ``never``, ``initial`` or ``when_needed``, or a mapping
    that also says how."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.collections and self.database is None:
            raise ValueError("collections are named, but not the database that they are in")
        if self.delta and self.before is Before.OFF:
            raise ValueError("delta takes old values from before: set it to when_available or required")
        if self.delta and self.project:
            raise ValueError(
                "delta takes old values from whole documents: leave out project, and use the stage project "
                "under the subscription's pipeline"
            )
        looked_up = self.full_document is FullDocument.UPDATE_LOOKUP
        if self.lookup_missing is not LookupMissing.DELIVER_NULL and not looked_up:
            raise ValueError("lookup_missing is about full_document: update_lookup, which is not chosen")
        expanded = sorted(set(self.operations).intersection(EXPANDED_OPERATIONS))
        if expanded and not self.expanded_events:
            raise ValueError(f"MongoDB gives {listed(expanded)} only with expanded_events: true")
        return self
