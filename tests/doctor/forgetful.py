"""A server whose oplog forgets, because it is small and was filled."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient

from eventbus.devservices import MongoService

__all__ = ["forget", "oldest", "start_forgetful"]

_ROUNDS = 2000


def start_forgetful() -> MongoService:
    """One with an oplog of 1 MB."""
    return MongoService.start(oplog_mb=1, own=True, extra_args=("--syncdelay", "1"))


def oldest(client: MongoClient[dict[str, Any]]) -> Any:
    """The time of the oldest entry of the oplog."""
    return client.local["oplog.rs"].find_one(sort=[("$natural", 1)])["ts"]  # type: ignore[index]


def forget(client: MongoClient[dict[str, Any]]) -> None:
    """Write until the entry is gone that is the oldest one now."""
    first = oldest(client)
    documents = client["filler"]["filler"]
    for _ in range(_ROUNDS):
        documents.insert_many([{"_": "x" * 100_000} for _ in range(20)])
        documents.drop()
        if oldest(client) != first:
            return
    raise AssertionError("the oplog forgets nothing")
