"""config/etl.yaml on real servers, killed on the way: all that comes of orders, against an oracle."""

from __future__ import annotations

import json
import os
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import anyio
import bson
import pytest
import yaml
from bson import CodecOptions, Decimal128
from pymongo import MongoClient
from pymongo.database import Database

from eventbus.config import load
from eventbus.devservices import KafkaService, MongoService
from eventbus.registry import Registry
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import LetterQuery
from tests.e2e.daemon import DaemonProcess
from tests.e2e.endpoints import Services
from tests.e2e.etl_oracle import Books
from tests.e2e.etl_shop import OldShop
from tests.e2e.oracle import client_of
from tests.sinks.kafka_topics import Record, create_topic, records

pytestmark = [pytest.mark.services, pytest.mark.proof, pytest.mark.timeout(900)]

CONFIG = Path(__file__).parents[2] / "config/etl.yaml"
FULL = os.environ.get("EVENTBUS_PROOF") == "full"
CHANGES = 20_000 if FULL else 600
KILLS = 10 if FULL else 3
ROUTES = {"clean", "totals", "topic", "review"}
OF_THE_EVENT = {"event", "operation", "committed_at"}
"""What of an order's lineage differs from event to event."""

Parked: TypeAlias = tuple[str, int, str]
"""Of which route, which state of an order, and why."""


class Extraction:
    """What the daemon's targets have.

    Args:
        client: To the deployment.
        name: The shop's database.
        kafka: The brokers.
        services: Where the webhook goes.
        environment: What the configuration's variables are.
    """

    def __init__(
        self,
        client: MongoClient[dict[str, Any]],
        name: str,
        kafka: KafkaService,
        services: Services,
        environment: Mapping[str, str],
    ) -> None:
        self._topic = f"{name}.orders.clean"
        self._servers = kafka.bootstrap_servers
        self._services = services
        self._environment = environment
        self._target: Database[dict[str, Any]] = client[f"{name}_clean"]

    def clean(self) -> dict[int, dict[str, Any]]:
        """The clean orders by their key; markers of deleted ones are none."""
        found = _orders(self._target).find({"_eventbus.until": None}, {"_id": 0, "_eventbus": 0})
        return {order["order_id"]: _plain(order) for order in found}

    def states(self) -> dict[int, int]:
        """Which state of each order is there."""
        found = self._target.orders.find({"_eventbus.until": None}, {"_id": 0, "order_id": 1, "revision": 1})
        return {order["order_id"]: order["revision"] for order in found}

    def totals(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The totals as the daemon keeps them."""
        return _by_group(self._target.totals.find({}, {"_eventbus": 0}))

    def recomputed(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What MongoDB makes of the clean orders."""
        group = {
            "_id": {"status": "$status", "month": "$month"},
            "orders": {"$sum": 1},
            "revenue": {"$sum": "$total_eur"},
            "mean": {"$avg": "$total_eur"},
            "least": {"$min": "$total_eur"},
            "most": {"$max": "$total_eur"},
            "products": {"$addToSet": "$sku"},
        }
        return _by_group(
            self._target.orders.aggregate([{"$match": {"_eventbus.until": None}}, {"$group": group}])
        )

    def topic(self) -> list[Record]:
        """All records of the topic, partition by partition."""
        return list(anyio.run(records, self._servers, self._topic))

    def review(self) -> dict[str, dict[str, Any]]:
        """What the webhook was told."""
        return {body["id"]: body for body in self._services.bodies["review"]}

    def parked(self, config: Path) -> list[Parked]:
        """The dead letters."""
        loaded = load([config], Registry.from_entry_points(), dict(self._environment))

        async def found() -> list[Parked]:
            async with open_store(loaded, access=Access.READ) as store:
                return [
                    (one.letter.route, _revision(one.letter.event.document), one.letter.reason)
                    async for one in store.find_letters(LetterQuery())
                ]

        return anyio.run(found)


def test_orders_become_clean_or_are_parked_for_what_is_wrong_with_them(
    mongo: MongoService, kafka_service: KafkaService, tmp_path: Path
) -> None:
    """Those that are there already come by a snapshot, killed as well; what comes again does no harm."""
    name = f"etl{uuid.uuid4().hex[:8]}"
    seed = Random().randrange(10_000)
    print(f"seed {seed}")
    anyio.run(partial(create_topic, kafka_service.bootstrap_servers, name=f"{name}.orders.clean"))
    with Services().running() as services, client_of(mongo.uri) as client:
        environment = {
            "ETL_MONGODB_URI": mongo.uri,
            "ETL_TARGET_URI": mongo.uri,
            "ETL_DATABASE": name,
            "ETL_KAFKA": kafka_service.bootstrap_servers,
            "ETL_HTTP": services.url,
        }
        client[f"{name}_clean"].orders.create_index("order_id", unique=True)
        client[name].products.create_index("sku")
        shop = OldShop(client[name], Random(seed))
        shop.open(CHANGES // 5)
        books = shop.books
        found = Extraction(client, name, kafka_service, services, environment)
        with DaemonProcess(tmp_path, yaml.safe_load(CONFIG.read_text()), environment) as daemon:
            daemon.start()
            daemon.wait_for(found.states, "first clean order")
            daemon.kill()
            daemon.start()
            daemon.wait_for(lambda: found.states() == _states(books), "orders that were there before")
            daemon.wait_for(lambda: '"snapshots":{}' in daemon.get("/readyz")[1], "end of the snapshot")
            for _ in range(KILLS - 1):
                shop.work(CHANGES // KILLS)
                daemon.kill()
                shop.work(CHANGES // KILLS // 10)
                daemon.start()
            daemon.wait_for(lambda: found.states() == _states(books), "clean orders")
            daemon.wait_for(lambda: found.totals() == found.recomputed(), "totals")
            daemon.wait_for(lambda: Told(found.topic()).revisions >= books.carried, "end of the topic")
            told = Told(found.topic())
            daemon.wait_for(lambda: set(found.review()) >= told.odd, "end of the review")
            daemon.wait_for(
                lambda: len(found.parked(daemon.config_path)) >= len(books.parked) * len(ROUTES), "letters"
            )
            assert daemon.terminate() == 0
            parked = found.parked(daemon.config_path)
        told = Told(found.topic())
        _check_clean(found, books, told)
        assert found.totals() == books.totals() == found.recomputed()
        _check_told(told, books)
        _check_review(found.review(), told)
        _check_parked(parked, books)
        print(
            f"{len(books.verdicts)} states, {len(books.parked)} wrong, {told.repeated} told twice; "
            f"{len(found.states())} clean orders, {len(found.totals())} totals, {len(told.odd)} odd: equal"
        )
        for one in (name, f"{name}_clean", f"{name}_eventbus"):
            client.drop_database(one)


class Told:
    """What the topic says; a message that comes again counts where it came first.

    Args:
        found: Its records.
    """

    def __init__(self, found: Sequence[Record]) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.repeated = 0
        self.order: dict[tuple[bytes, int], list[int]] = defaultdict(list)
        self.deleted: dict[int, int] = defaultdict(int)
        bodies: dict[str, dict[str, Any]] = {}
        for record in found:
            body = json.loads(record.value)
            if body["operation"] == "read":  # again after a kill, so later
                del body["document"]["lineage"]["committed_at"]
            if bodies.setdefault(body["id"], body) is body:
                self._take(record, body)
            else:
                assert bodies[body["id"]] == body, "a message that comes again is the same"
                self.repeated += 1

    def _take(self, record: Record, body: dict[str, Any]) -> None:
        document = body["document"]
        assert record.headers["operation"].decode() == body["operation"]
        if document is None:
            assert body["operation"] == "delete"
            self.deleted[body["order"]] += 1
            return
        assert document["order_id"] == body["order"]
        assert record.key == str(document["customer_id"]).encode()
        assert record.headers["size"].decode() == document["size"]
        self.order[record.key, body["order"]].append(document["revision"])
        self.documents[body["id"]] = document

    @property
    def revisions(self) -> set[int]:
        """Which states were told."""
        return {document["revision"] for document in self.documents.values()}

    @property
    def odd(self) -> set[str]:
        """Those with warnings."""
        return {event_id for event_id, document in self.documents.items() if document["lineage"]["warnings"]}


def _check_clean(found: Extraction, books: Books, told: Told) -> None:
    """Every clean order is as it must be, and comes from the event that it says."""
    clean = found.clean()
    assert _without_event(clean) == _expected(books)
    for order in clean.values():
        lineage = order["lineage"]
        source = told.documents[lineage["event"]]
        assert source["revision"] == order["revision"]
        assert lineage["operation"] == source["lineage"]["operation"]
        assert lineage["operation"] == books.operations[order["revision"]]
        assert lineage["committed_at"] is not None


def _check_told(told: Told, books: Books) -> None:
    """The topic has every sound state, as it must be, no other, and the states of an order in their order."""
    assert told.revisions == books.carried
    for document in told.documents.values():
        verdict = books.verdicts[document["revision"]]
        assert tuple(document["lineage"]["warnings"]) == verdict.warnings
        assert verdict.clean is not None
        assert {key: str(document[key]) for key in verdict.clean if key != "ordered_at"} == {
            key: _as_json(value, document[key]) for key, value in verdict.clean.items() if key != "ordered_at"
        }
    assert all(revisions == sorted(revisions) for revisions in told.order.values())
    assert told.deleted == books.deleted


def _check_review(bodies: Mapping[str, dict[str, Any]], told: Told) -> None:
    """The webhook heard of each event that has a warning, and of no other."""
    assert bodies.keys() == told.odd
    for event_id, body in bodies.items():
        document = told.documents[event_id]
        assert body["warnings"] == document["lineage"]["warnings"]
        assert body["customer"]["email"] == document["email"]


def _check_parked(parked: Sequence[Parked], books: Books) -> None:
    """On every route each wrong state and no other, for the rules that it breaks, with the fields named."""
    by_route: dict[str, set[int]] = defaultdict(set)
    for route, revision, reason in parked:
        by_route[route].add(revision)
        broken = books.verdicts[revision].broken
        rules = [part.split(": ")[0] for part in f"; {reason.partition(': ')[2]}".split("; rule ")[1:]]
        assert sorted(rules) == sorted(rule for rule, _ in broken), reason
        told = f"{reason} ".replace("; rule ", " ; rule ")
        assert all(f"rule {rule}: {where} " in told for rule, where in broken), reason
    assert by_route.keys() == ROUTES
    assert all(revisions == books.parked for revisions in by_route.values())


def _states(books: Books) -> dict[int, int]:
    return {key: order["revision"] for key, order in books.clean.items()}


def _expected(books: Books) -> dict[int, dict[str, Any]]:
    orders = {}
    for key, order in books.clean.items():
        warnings = list(books.verdicts[order["revision"]].warnings)
        orders[key] = {**order, "lineage": {"stream": "orders", "warnings": warnings}}
    return orders


def _without_event(orders: Mapping[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {
        key: {
            **order,
            "lineage": {name: one for name, one in order["lineage"].items() if name not in OF_THE_EVENT},
        }
        for key, order in orders.items()
    }


def _as_json(value: Any, shown: str | None) -> str:
    """A value as plain JSON shows it; of decimals any way of writing it."""
    if isinstance(value, Decimal):
        return str(shown) if Decimal(str(shown)) == value else str(value)
    return str(value)


def _orders(target: Database[dict[str, Any]]) -> Any:
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
    return target.orders.with_options(codec_options=options)


def _by_group(groups: Iterator[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for group in groups:
        name = group.pop("_id")
        plain = _plain(group)
        plain |= {
            "mean": plain["mean"].quantize(Decimal("1E-9")),
            "products": sorted(plain["products"]),
        }
        found[name["status"], name["month"]] = plain
    return found


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Decimals by their value."""
    return {
        name: value.to_decimal() if isinstance(value, Decimal128) else value
        for name, value in document.items()
    }


def _revision(section: bytes | Mapping[str, Any] | None) -> int:
    assert section is not None, "a delete breaks no rule"
    return int((bson.decode(section) if isinstance(section, bytes) else section)["rev"])
