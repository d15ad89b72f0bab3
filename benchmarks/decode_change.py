"""What it costs to make events of raw changes: our way, the general way, and the driver's decoders.

    python -m benchmarks.decode_change

The changes come from a real change stream. Each number is the best of some rounds, in microseconds a change,
of processor time; what the driver's decoders give is not an event yet.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database

from eventbus.devservices import MongoService
from eventbus.sources.mongodb.change import event_of
from eventbus.sources.mongodb.changes import ChangeDecoder
from eventbus.sources.mongodb.classify import Classified
from eventbus.sources.mongodb.elements import elements, int32
from eventbus.sources.mongodb.namespaces import Namespaces
from eventbus.sources.mongodb.reply import Reply

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def collect(uri: str, count: int, options: dict[str, Any], stages: list[dict[str, Any]]) -> list[bytes]:
    """Raw replies that hold `count` inserts, then updates, replacements and deletes."""
    with MongoClient[dict[str, Any]](uri) as client:
        client.drop_database("benchmark")
        database = client.benchmark
        database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
        command = {
            "aggregate": "orders",
            "pipeline": [{"$changeStream": options}, *stages],
            "cursor": {"batchSize": 0},
        }
        cursor = database.command(command)["cursor"]
        items = [{"sku": f"sku-{j}", "count": j, "price": j * 1.25} for j in range(5)]
        orders = [
            {"customer": f"c{i}", "status": "new", "note": "n" * 200, "items": items} for i in range(count)
        ]
        database.orders.insert_many(orders)
        database.orders.update_many({}, {"$set": {"status": "paid", "paid": True}, "$unset": {"note": 1}})
        for order in orders[: count // 10]:
            database.orders.replace_one({"_id": order["_id"]}, {"status": "gone"})
        database.orders.delete_many({})
        replies = replies_of(database, "orders", cursor["id"], 3 * count + count // 10)
        client.drop_database("benchmark")
        return replies


def replies_of(
    database: Database[dict[str, Any]], collection: str, cursor_id: int, count: int
) -> list[bytes]:
    """The raw replies of an open change stream, until they hold so many changes."""
    replies, read = [], 0
    while read < count:
        more = {"getMore": cursor_id, "collection": collection, "batchSize": 1000, "maxTimeMS": 1000}
        replies.append(bytes(database.command(more, codec_options=RAW).raw))
        read += len(bson.decode(replies[-1])["cursor"]["nextBatch"])
    return replies


def with_decoder(replies: Sequence[bytes]) -> int:
    decoder = ChangeDecoder()
    return sum(len(decoder.events(Reply.of(raw))) for raw in replies)


def in_general(replies: Sequence[bytes]) -> int:
    names, count = (Namespaces(), Classified()), 0
    for raw in replies:
        for start in Reply.of(raw).starts():
            event_of(elements(raw, start), *names, size=int32(raw, start)[0])
            count += 1
    return count


def with_raw_documents(replies: Sequence[bytes]) -> int:
    count = 0
    for raw in replies:
        for change in RawBSONDocument(raw)["cursor"]["nextBatch"]:
            change["operationType"]
            count += 1
    return count


def with_dicts(replies: Sequence[bytes]) -> int:
    return sum(len(bson.decode(raw)["cursor"]["nextBatch"]) for raw in replies)


def microseconds(make: Callable[[Sequence[bytes]], int], replies: Sequence[bytes], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        count = make(replies)
        best = min(best, (time.process_time() - begun) / count)
    return best * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--changes", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()
    images = {"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "whenAvailable"}
    split: list[dict[str, Any]] = [{"$changeStreamSplitLargeEvent": {}}]
    with MongoService.start() as mongo:
        kinds = {
            "plain": collect(mongo.uri, options.changes, {}, []),
            "split stage": collect(mongo.uri, options.changes, {}, split),
            "with images": collect(mongo.uri, options.changes, images, split),
        }
    print(f"{'µs a change':16}{'eventbus':>10}{'general':>10}{'RawBSON':>10}{'dict':>10}")
    for kind, replies in kinds.items():
        times = [
            microseconds(make, replies, options.rounds)
            for make in (with_decoder, in_general, with_raw_documents, with_dicts)
        ]
        print(f"{kind:16}" + "".join(f"{value:10.2f}" for value in times))


if __name__ == "__main__":
    main()
