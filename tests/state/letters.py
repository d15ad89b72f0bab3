"""Events and dead letters of every odd kind, and what it means that two of them are the same."""

from __future__ import annotations

from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from eventbus.model import ClusterTime, DeadLetter, Event, FailedAttempt, Failure, PositionKind
from eventbus.state.store import LetterQuery, Store, StoredDeadLetter

FIELDS = [name for name in Event.__slots__ if not name.startswith("_") and name != "snapshot"]
"""How far a snapshot had come is a route's affair: a dead letter that is sent again continues none."""


def event(number: int, **fields: Any) -> Event:
    """A plain event whose token grows with its number."""
    given: dict[str, Any] = {
        "token": f"82{number:010X}",
        "operation": "insert",
        "database": "shop",
        "collection": "orders",
        "cluster_time": ClusterTime(1_700_000_000 + number, 1),
        "time_ms": 1_700_000_000_123 + number,
        "document_key": bson.encode({"_id": number}),
        "document": bson.encode({"_id": number, "text": "x"}),
        "size": 77,
    }
    return Event(**{**given, **fields})


def letter(number: int, **fields: Any) -> DeadLetter:
    """A dead letter of a plain event."""
    given: dict[str, Any] = {
        "subscription": "orders",
        "route": "hook",
        "event": event(number),
        "reason": "the sink said no",
    }
    return DeadLetter(**{**given, **fields})


def failures(*reasons: str) -> tuple[FailedAttempt, ...]:
    """Failed attempts, a second apart."""
    return tuple(
        FailedAttempt(1_700_000_000_000 + 1000 * number, Failure.SERVER, reason)
        for number, reason in enumerate(reasons)
    )


def parts(event: Event) -> dict[str, Any]:
    """All that an event is."""
    return {name: getattr(event, name) for name in FIELDS} | {"id": event.id, "key": event.key}


async def collected(found: AsyncIterable[StoredDeadLetter]) -> list[StoredDeadLetter]:
    return [one async for one in found]


async def found(store: Store, **query: Any) -> list[StoredDeadLetter]:
    """What a query finds, in order of creation."""
    return await collected(store.find_letters(LetterQuery(**query)))


async def parked_again(store: Store, parked: DeadLetter) -> DeadLetter:
    """Park one dead letter in an empty store and read it back."""
    await store.park([parked])
    (stored,) = await found(store)
    return stored.letter


def nested(depth: int, bottom: Any = 1) -> dict[str, Any]:
    document: dict[str, Any] = {"end": bottom}
    for level in range(depth):
        document = {"in": document} if level % 2 else {"in": [document, level]}
    return document


def everything() -> dict[str, Any]:
    """One value of each BSON type, the odd ones too."""
    return {
        "nan": Decimal128("NaN"),
        "negative": Decimal128("-0E-6176"),
        "double": float("-inf"),
        "long": Int64(5),
        "regex": Regex("^a[b\n]", "imsux"),
        "code": Code("f()", {"x": 1}),
        "plain_code": Code("f()"),
        "ref": DBRef("c", ObjectId(b"123456789012"), "d", extra=1),
        "min": MinKey(),
        "max": MaxKey(),
        "time": Timestamp(4_294_967_295, 4_294_967_295),
        "before_1": DatetimeMS(-(2**62)),
        "date": datetime(2024, 2, 29, 12, tzinfo=UTC),
        "binary": Binary(b"\0\xff", 128),
        "uuid": Binary(bytes(range(16)), 4),
        "list": [None, True, [], {}, ""],
        "": {"": "empty name"},
        "a.b": {"$c": "dots\0and dollars"},
    }


def beyond_bson() -> dict[str, Any]:
    """What BSON refuses or gives back as something else."""
    return {
        "surrogate": "\ud800 and \udfff",
        "na\0me": "NUL in a name",
        "\ud800": "surrogate in a name",
        "huge": 2**70,
        "long": 2**40,
        "decimal": Decimal("1.50"),
        "uuid": UUID(int=7),
        "micros": datetime(2024, 2, 29, 12, 0, 0, 123456, timezone(timedelta(hours=2))),
        "naive": datetime(2024, 2, 29, 12),  # noqa: DTZ001  a stage may well make one
        "date": datetime(2024, 2, 29).date(),  # noqa: DTZ001  as above
        "ms": DatetimeMS(5),
        "list": [{"deep": ["\udc00"]}, float("inf")],
    }


def odd_events() -> dict[str, Event]:
    """Events that a careless store would lose, change or refuse, by what is odd about them."""
    return {
        "bare": Event(token="82", operation="drop", database="", collection=""),
        "every_bson_type": event(1, document=bson.encode(everything()), before=bson.encode(everything())),
        "every_bson_type_decoded": event(2, document=everything(), changed=everything()),
        "beyond_bson": event(3, document=beyond_bson(), attributes=beyond_bson()),
        "deep_bytes": event(4, document=bson.encode(nested(150))),
        "deep_mapping": event(5, document=nested(150), attributes=nested(110, "\ud800")),
        "garbage_bytes": event(6, document=b"\xff\xfe\x00garbage", before=b"", changed=b"\0"),
        "garbage_key": event(16, document_key=b"\x01\x02garbage"),
        "update": event(
            7,
            operation="update",
            document=None,
            changed=bson.encode({"a.b": 1}),
            removed=("c", "d.\0", "\ud800"),
            fragment=2,
            kind=PositionKind.INVALIDATE,
            extra=b"\0type bits\xff",
            details=bson.encode({"transaction": {"number": Int64(4)}, "truncated_arrays": []}),
        ),
        "own_id": event(17, operation="read", id="0123456789abcdef0123456789abcdef"),
        "own_key": event(8, key=b"\0\xff key\nwith anything"),
        "key_with_dollar": event(9, document_key=bson.encode({"_id": {"$a": 1, "b.c": nested(60)}})),
        "deep_key": event(15, document_key=bson.encode({"_id": nested(110)})),
        "key_of_all_types": event(10, document_key=bson.encode({"_id": everything()})),
        "big_key": event(11, document_key=bson.encode({"_id": "k" * 3_000_000})),
        "no_cluster_time": event(12, cluster_time=None, time_ms=-1, size=2**40),
        "odd_names": event(13, operation="\ud800", database="d\0", collection="\udfff.$cmd", key=b"k"),
        "big_attributes": event(14, attributes={"blob": b"\1" * 2_000_000}),
    }
