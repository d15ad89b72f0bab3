"""Which privileges a configuration needs, and which of them somebody lacks. No I/O.

How the server decides whether an action is allowed is in its `buildResourceSearchList`:
https://github.com/mongodb/mongo/blob/v6.0/src/mongo/db/auth/authorization_session_impl.cpp
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eventbus.config import Config, MongoDBState, ResolvedSubscription
from eventbus.sdk import SnapshotMode
from eventbus.sources.mongodb.options import MongoOptions
from eventbus.stages.lookup import LookupOptions

__all__ = [
    "Need",
    "heartbeat_needs",
    "missing",
    "oplog_needs",
    "privilege",
    "shown",
    "source_needs",
    "state_needs",
]

_NOT_NORMAL: Final = frozenset({"local", "config"})
_ANY_RESOURCE: Final[Mapping[str, Any]] = {"anyResource": True}
_ANY_NORMAL: Final[Mapping[str, Any]] = {"db": "", "collection": ""}
_CLUSTER: Final[Mapping[str, Any]] = {"cluster": True}
_STATE: Final = ("createIndex", "find", "insert", "remove", "update")


@dataclass(frozen=True, slots=True)
class Need:
    """Some actions on one resource.

    Args:
        database: Name of the database; empty for all of them.
        collection: Name of the collection; empty for all of them.
        actions: The actions.
        of_cluster: Whether the resource is the cluster itself.
    """

    database: str
    collection: str
    actions: tuple[str, ...]
    of_cluster: bool = False

    @property
    def resource(self) -> Mapping[str, Any]:
        """As the server writes it."""
        return _CLUSTER if self.of_cluster else {"db": self.database, "collection": self.collection}


def source_needs(subscription: ResolvedSubscription) -> Iterator[Need]:
    """What a subscription reads: its stream, its snapshots, its lookups."""
    options = subscription.source.options
    if not isinstance(options, MongoOptions):
        return
    database = options.database or ""
    single = options.collections[0] if options.collections and len(options.collections) == 1 else ""
    yield Need(database, single, ("changeStream", "find"))
    if options.snapshot.mode is not SnapshotMode.NEVER:
        yield Need(database, "", ("listCollections",))
        if not database:
            yield Need("", "", ("listDatabases",), of_cluster=True)
    for stage in subscription.pipeline:
        if isinstance(stage.options, LookupOptions):
            yield Need(stage.options.database or database, stage.options.collection, ("find",))


def state_needs(config: Config) -> Iterator[Need]:
    """What the state store does, where it is in MongoDB."""
    if isinstance(config.state, MongoDBState):
        yield Need(config.state.database, "", _STATE)


def oplog_needs() -> Iterator[Need]:
    """What tells how far the oplog reaches back."""
    yield Need("local", "oplog.rs", ("find",))


def heartbeat_needs(config: Config) -> Iterator[Need]:
    """What the heartbeat does, if there is one."""
    if config.heartbeat is not None:
        yield Need(config.heartbeat.database, config.heartbeat.collection, ("insert", "update"))


def missing(needs: Iterable[Need], privileges: Sequence[Mapping[str, Any]]) -> list[Need]:
    """What of the needs somebody with these privileges lacks.

    Args:
        needs: What is needed.
        privileges: As ``connectionStatus`` shows them: each a resource with its actions.
    """
    lacking = []
    for need in needs:
        allowed = {
            action
            for held in privileges
            if any(_equal(held["resource"], resource) for resource in _resources(need))
            for action in held["actions"]
        }
        if actions := tuple(action for action in need.actions if action not in allowed):
            lacking.append(Need(need.database, need.collection, actions, need.of_cluster))
    return lacking


def privilege(need: Need) -> Mapping[str, Any]:
    """As ``createRole`` takes it."""
    return {"resource": need.resource, "actions": list(need.actions)}


def shown(need: Need) -> str:
    """For people."""
    actions = ", ".join(need.actions)
    if need.of_cluster:
        return f"{actions} on the cluster"
    if not need.database:
        return f"{actions} on all databases"
    return f"{actions} on {need.database}.{need.collection or '*'}"


def _resources(need: Need) -> Iterator[Mapping[str, Any]]:
    """The resources of which one must allow it."""
    yield _ANY_RESOURCE
    yield need.resource
    if need.of_cluster:
        return
    if need.database not in _NOT_NORMAL:
        yield _ANY_NORMAL
    if need.collection:
        yield {"db": need.database, "collection": ""}
        yield {"db": "", "collection": need.collection}


def _equal(held: Mapping[str, Any], resource: Mapping[str, Any]) -> bool:
    return dict(held) == dict(resource)
