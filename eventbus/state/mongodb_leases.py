"""The updates that take, renew and give back leases, as documents. Nothing here talks to a server.

They are update pipelines, because only a pipeline sees the server's clock (``$$NOW``), and no filter of an
upsert may. Names of routes are values here and never paths, so that a dot in one is a dot.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, TypeAlias

from eventbus.model import Position
from eventbus.state.position_documents import OPTIONAL, entry_of
from eventbus.state.store import Lease, Save

__all__ = [
    "forgotten",
    "held_by",
    "holders_of",
    "paused",
    "released",
    "renewed",
    "resumed",
    "taken",
]

_Document: TypeAlias = dict[str, Any]
_NOW: Final = "$$NOW"
_NOW_SECS: Final[_Document] = {"$toLong": {"$divide": [{"$toLong": _NOW}, 1000]}}
"""Since 1970. No epoch is lower, so that it grows even where the state was lost, or an old one restored."""


def taken(instance: str, incarnation: str, *, lease_secs: float, reclaim: bool) -> list[_Document]:
    """Give the lease to `instance` if it is free, else change nothing.

    The caller has it if the document then carries `incarnation`, which no two calls have in common.
    """
    free: list[_Document] = [
        {"$eq": [{"$ifNull": ["$owner", None]}, None]},
        {"$lte": ["$lease_until", _NOW]},
    ]
    if reclaim:
        free.append({"$eq": ["$owner", {"$literal": instance}]})
    mine = {
        "owner": {"$literal": instance},
        "incarnation": {"$literal": incarnation},
        "epoch": {"$max": [{"$add": [{"$ifNull": ["$epoch", 0]}, 1]}, _NOW_SECS]},
        "routes": {"$ifNull": ["$routes", {}]},
        **_extended(lease_secs),
    }
    return [{"$replaceWith": {"$cond": [{"$or": free}, {"$mergeObjects": ["$$ROOT", mine]}, "$$ROOT"]}}]


def held_by(instance: str, lease: Lease) -> _Document:
    """The filter that every write of a lease's holder carries."""
    return {"_id": lease.subscription, "owner": instance, "epoch": lease.epoch}


def holders_of(subscriptions: Collection[str]) -> list[_Document]:
    """The stages of an aggregation: who holds which of these leases, and for how many milliseconds yet."""
    return [
        {"$match": {"_id": {"$in": list(subscriptions)}, "owner": {"$ne": None}}},
        {"$project": {"owner": 1, "left": {"$subtract": ["$lease_until", _NOW]}}},
        {"$match": {"left": {"$gt": 0}}},
    ]


def renewed(save: Save, *, lease_secs: float) -> list[_Document]:
    """Renew the lease and write the positions that are given; touch nothing else of any route."""
    moved = [
        {"k": {"$literal": name}, "v": _moved(name, position)} for name, position in save.positions.items()
    ]
    routes = {"$mergeObjects": ["$routes", {"$arrayToObject": [moved]}]}
    return [{"$set": {"routes": routes, **_extended(lease_secs)}}]


def released() -> list[_Document]:
    """Give the lease back; the epoch stays, since it may never go down."""
    return [{"$set": {"owner": None, "incarnation": None, "lease_until": None, "updated_at": _NOW}}]


def forgotten(route: str) -> list[_Document]:
    """Remove a route's entry."""
    return [{"$set": {"routes": _without("$routes", route)}}]


def paused(route: str, reason: str) -> list[_Document]:
    """Note that a route is to rest, also where the subscription never ran; its lease stays free."""
    return [{"$set": {"paused": {"$mergeObjects": ["$paused", {"$literal": {route: reason}}]}}}]


def resumed(route: str) -> list[_Document]:
    """Take the note back."""
    return [{"$set": {"paused": _without({"$ifNull": ["$paused", {}]}, route)}}]


def _extended(lease_secs: float) -> _Document:
    return {"lease_until": {"$add": [_NOW, round(lease_secs * 1000)]}, "updated_at": _NOW}


def _without(entries: str | _Document, name: str) -> _Document:
    return {"$unsetField": {"field": {"$literal": name}, "input": entries}}


def _moved(name: str, position: Position) -> _Document:
    """The route's entry with a new position; what else is in it stays."""
    rest: _Document = {"$getField": {"field": {"$literal": name}, "input": "$routes"}}
    for optional in OPTIONAL:  # what the last position had, and this one may not have
        rest = {"$unsetField": {"field": optional, "input": rest}}
    return {"$mergeObjects": [rest, {"$literal": entry_of(position)}]}
