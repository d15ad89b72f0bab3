"""What a subscription's change stream consists of in the server: scope, filters, stages and options.

It decides what is sent when a stream is opened. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from eventbus.sources.mongodb.classify import classify_stage
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.sources.mongodb.options import (
    ALL_OPERATIONS,
    EXPANDED_OPERATIONS,
    OPERATIONS,
    Before,
    FullDocument,
    LookupMissing,
    MongoOptions,
)
from eventbus.sources.mongodb.paths import IS_UPDATE, touched
from eventbus.sources.mongodb.project import KEPT_OF_CHANGES, project_stages

__all__ = ["SPLIT", "Stage", "StreamSpec", "stream_spec"]

Stage: TypeAlias = Mapping[str, Any]

_FULL_DOCUMENT: Final = {
    FullDocument.UPDATE_LOOKUP: "updateLookup",
    FullDocument.WHEN_AVAILABLE: "whenAvailable",
    FullDocument.REQUIRED: "required",
}
_BEFORE: Final = {Before.WHEN_AVAILABLE: "whenAvailable", Before.REQUIRED: "required"}

SPLIT: Final[Stage] = {"$changeStreamSplitLargeEvent": {}}
_IDENTITY_ONLY: Final[Stage] = {"$project": dict.fromkeys(KEPT_OF_CHANGES, 1)}


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A change stream, less the place where it starts.

    Args:
        database: The database that the command is sent to.
        target: The collection, or 1 for all of them.
        options: Options of ``$changeStream``.
        own: What keeps the stream to its scope and operations, by what it is about, in order.
        written: What the user's options ask of the server, by their names, in the order in which it is done.
        comment: What operators of the server see beside the cursor.
        delta: Whether old values are told beside the new ones.
        lookup_missing: What becomes of an update without its document; None where none is looked up.
    """

    database: str
    target: str | int
    options: Mapping[str, Any]
    own: Mapping[str, tuple[Stage, ...]]
    written: Mapping[str, tuple[Stage, ...]]
    comment: str
    delta: bool = False
    lookup_missing: LookupMissing | None = None

    @property
    def is_of_cluster(self) -> bool:
        """Whether it is a stream of all databases."""
        return "allChangesForCluster" in self.options

    @property
    def own_stages(self) -> tuple[Stage, ...]:
        """What keeps the stream to its scope and operations."""
        return _in_order(self.own)

    @property
    def written_stages(self) -> tuple[Stage, ...]:
        """The user's stages in their order. Documents that a snapshot reads go through them like changes."""
        return _in_order(self.written)

    def stages(
        self, *, splits: bool, beyond: str | None = None, identity_only: bool = False
    ) -> tuple[Stage, ...]:
        """All stages after ``$changeStream``.

        Args:
            beyond: A token; changes up to it are left out before any other stage sees them.
            splits: Whether the server can split large events. It must be the last stage, and must be there
                always or never: with it the server makes tokens of another form.
            identity_only: Leave nothing of each change but what names it.
        """
        return (
            *(({"$match": {"_id._data": {"$gt": beyond}}},) if beyond is not None else ()),
            *self.own_stages,
            *self.written_stages,
            *((_IDENTITY_ONLY,) if identity_only else ()),
            *((SPLIT,) if splits else ()),
        )

    def command(self, stages: tuple[Stage, ...], start: Mapping[str, Any]) -> dict[str, Any]:
        """The command that opens the stream; its answer holds a token and no changes yet.

        Args:
            stages: What follows ``$changeStream``.
            start: The option of ``$changeStream`` that says where to start; empty for now.
        """
        return {
            "aggregate": self.target,
            "pipeline": [{"$changeStream": {**self.options, **start}}, *stages],
            "cursor": {"batchSize": 0},
            "comment": self.comment,
        }


def stream_spec(
    options: MongoOptions,
    subscription: str,
    own_database: str | None,
    own_collection: tuple[str, str] | None = None,
) -> StreamSpec:
    """The change stream that a subscription asks for.

    Args:
        options: What the user wrote.
        subscription: Name of the subscription.
        own_database: Name of the database that holds the daemon's own collections, if it is on this cluster.
        own_collection: Database and name of a further collection that is the daemon's own.
    """
    single = options.collections[0] if options.collections and len(options.collections) == 1 else None
    settings: dict[str, Any] = {}
    if options.full_document in _FULL_DOCUMENT:
        settings["fullDocument"] = _FULL_DOCUMENT[options.full_document]
    if options.before in _BEFORE:
        settings["fullDocumentBeforeChange"] = _BEFORE[options.before]
    if options.database is None:
        settings["allChangesForCluster"] = True
    if options.expanded_events:
        settings["showExpandedEvents"] = True
    looked_up = options.full_document is FullDocument.UPDATE_LOOKUP
    return StreamSpec(
        database=options.database or "admin",
        target=single or 1,
        options=settings,
        own={
            "state": _without_state(options, own_database),
            "collections": _collections(options),
            "heartbeat": _without(own_collection, options),
            "operations": _operations(options),
        },
        written=_written(options),
        comment=f"eventbus {subscription}",
        delta=options.delta,
        lookup_missing=options.lookup_missing if looked_up else None,
    )


def _written(options: MongoOptions) -> dict[str, tuple[Stage, ...]]:
    """A filter before what costs more, and before `project` whatever looks at what that leaves out."""
    return {
        "match": ({"$match": bson_values(options.match)},) if options.match else (),
        "fields": _significant(options.fields) if options.fields else (),
        "classify": (classify_stage(options.classify),) if options.classify else (),
        "project": project_stages(options.project) if options.project else (),
        "pipeline": tuple(bson_values(stage) for stage in options.pipeline),
    }


def _significant(fields: Sequence[str]) -> tuple[Stage, ...]:
    return ({"$match": {"$expr": {"$or": [{"$not": [IS_UPDATE]}, touched(fields)]}}},)


def _in_order(stages: Mapping[str, tuple[Stage, ...]]) -> tuple[Stage, ...]:
    return tuple(stage for some in stages.values() for stage in some)


def _without_state(options: MongoOptions, own_database: str | None) -> tuple[Stage, ...]:
    if options.database is not None or own_database is None:
        return ()
    return ({"$match": {"ns.db": {"$ne": own_database}}},)


def _collections(options: MongoOptions) -> tuple[Stage, ...]:
    if options.collections is None or len(options.collections) == 1:
        return ()
    named = {"$in": list(options.collections)}
    of_the_database = {"operationType": {"$in": ["dropDatabase", "invalidate"]}}
    return ({"$match": {"$or": [{"ns.coll": named}, {"to.coll": named}, of_the_database]}},)


def _without(own_collection: tuple[str, str] | None, options: MongoOptions) -> tuple[Stage, ...]:
    if own_collection is None or options.database not in {None, own_collection[0]}:
        return ()
    database, collection = own_collection
    return ({"$match": {"$nor": [{"ns.db": database, "ns.coll": collection}]}},)


def _operations(options: MongoOptions) -> tuple[Stage, ...]:
    wanted = set(options.operations)
    given = {*OPERATIONS, *EXPANDED_OPERATIONS} if options.expanded_events else set(OPERATIONS)
    if "operations" not in options.model_fields_set or ALL_OPERATIONS in wanted or wanted >= given:
        return ()
    return ({"$match": {"operationType": {"$in": sorted(wanted)}}},)
