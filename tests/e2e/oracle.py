"""What must arrive, told by the server itself: a plain watch over the same history, apart from our reader.

The id of an event is recomputed here from its documented definition, so a wrong id is noticed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from bson import json_util
from pymongo import MongoClient
from pymongo.collection import Collection

_PIPELINE: list[dict[str, Any]] = [{"$changeStreamSplitLargeEvent": {}}]
"""With this stage the server writes resume tokens of its second version, as later servers always do."""


@dataclass(frozen=True)
class Expected:
    """One change as the server tells it; committed when the server's clock, in seconds since 1970, says."""

    id: str
    token: str
    key: str
    operation: str
    committed_at: float


@dataclass
class Arrival:
    """One message as a receiver got it."""

    id: str
    body: bytes
    at: float = 0.0


@dataclass
class Verdict:
    """What is wrong with what one receiver got; all empty when nothing is."""

    lost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    misordered: list[str] = field(default_factory=list)
    changed_bodies: list[str] = field(default_factory=list)
    duplicates: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, invented, out of order or changed. Duplicates are judged apart."""
        return not (self.lost or self.unknown or self.misordered or self.changed_bodies)


def event_id(token: str) -> str:
    """The documented identity: 16 bytes of BLAKE2b of the resume token's data, in hexadecimal."""
    return hashlib.blake2b(token.encode(), digest_size=16).hexdigest()


def start_watching(collection: Collection[dict[str, Any]]) -> Mapping[str, Any]:
    """A resume token of the present."""
    with collection.watch(_PIPELINE) as stream:
        stream.try_next()
        token = stream.resume_token
    assert token is not None
    return token


def history(collection: Collection[dict[str, Any]], after: Mapping[str, Any], count: int) -> list[Expected]:
    """The next `count` changes after a token, in the server's order."""
    changes: list[Expected] = []
    with collection.watch(_PIPELINE, resume_after=after, batch_size=1000) as stream:
        for change in stream:
            token = change["_id"]["_data"]
            key = json_util.dumps(change.get("documentKey"), sort_keys=True)
            committed_at = change["wallTime"].replace(tzinfo=UTC).timestamp()
            changes.append(Expected(event_id(token), token, key, change["operationType"], committed_at))
            if len(changes) == count:
                return changes
    return changes


def judge(expected: Sequence[Expected], arrivals: Iterable[Arrival]) -> Verdict:
    """Hold what arrived against what must arrive."""
    verdict = Verdict()
    place = {change.id: index for index, change in enumerate(expected)}
    bodies: dict[str, bytes] = {}
    last: dict[str, int] = defaultdict(lambda: -1)
    for arrival in arrivals:
        if arrival.id not in place:
            verdict.unknown.append(arrival.id)
            continue
        if arrival.id in bodies:
            verdict.duplicates += 1
            if bodies[arrival.id] != arrival.body:
                verdict.changed_bodies.append(arrival.id)
            continue
        bodies[arrival.id] = arrival.body
        index = place[arrival.id]
        key = expected[index].key
        if index < last[key]:
            verdict.misordered.append(arrival.id)
        last[key] = max(last[key], index)
    verdict.lost = [change.id for change in expected if change.id not in bodies]
    return verdict


def client_of(uri: str) -> MongoClient[dict[str, Any]]:
    """A plain client."""
    return MongoClient(uri, serverSelectionTimeoutMS=10_000)
