"""What stages look up, on a real server: by any value, as of a time, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import Decimal128, ObjectId

from eventbus.devservices import MongoService
from eventbus.errors import Unreachable
from eventbus.model import ClusterTime
from eventbus.sources.mongodb.collections import MongoCollections
from tests.sources.faults import failing
from tests.sources.watching import Client, impatient_client

pytestmark = [pytest.mark.anyio, pytest.mark.services]

OID = ObjectId()
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, "name": "Jo", "address": {"city": "Bonn", "zip": "1"}, "tags": ["a", "b"]},
    {"_id": OID, "name": "Al", "address": {"city": "Ulm"}, "tags": ["b"]},
]


@pytest.fixture
async def client(faulty_mongo: MongoService) -> AsyncIterator[Client]:
    """A client, and two customers."""
    async with impatient_client(faulty_mongo.uri) as client:
        await client.crm.customers.drop()
        await client.crm.customers.insert_many([dict(document) for document in DOCUMENTS])
        yield client


async def test_documents_are_found_by_any_of_many_values(client: Client) -> None:
    """Also by those that MongoDB takes for equal, and within arrays; more of them than one reply holds."""
    collections = MongoCollections(client)
    assert await collections.find("crm", "customers", "_id", [Decimal128("1"), OID, "x"]) == DOCUMENTS
    assert await collections.find("crm", "customers", "tags", ["a"]) == DOCUMENTS[:1]
    await client.crm.many.drop()
    await client.crm.many.insert_many([{"_id": number} for number in range(25_000)])
    found = await collections.find("crm", "many", "_id", list(range(25_000)))
    assert found is not None
    assert len(found) == 25_000


async def test_fields_are_chosen_by_the_server(client: Client) -> None:
    """The field that was asked for is among them; a path within another that is asked for is no conflict."""
    collections = MongoCollections(client)
    found = await collections.find("crm", "customers", "address.city", ["Bonn"], fields=["name", "address"])
    assert found == [{"_id": 1, "name": "Jo", "address": {"city": "Bonn", "zip": "1"}}]
    found = await collections.find("crm", "customers", "_id", [1], fields=["address.city"])
    assert found == [{"_id": 1, "address": {"city": "Bonn"}}]


async def test_a_collection_that_is_not_there_has_nothing(client: Client) -> None:
    """And it can be asked whether it is there."""
    collections = MongoCollections(client)
    assert await collections.find("crm", "nothing", "_id", [1]) == []
    assert await collections.has("crm", "customers")
    assert not await collections.has("crm", "nothing")


async def test_a_document_is_found_as_it_was(client: Client) -> None:
    """At a cluster time; one that the server no longer has gives nothing, not a failure."""
    collections = MongoCollections(client)
    reply = await client.crm.command({"update": "customers", "updates": [{"q": {"_id": 1}, "u": {"n": 1}}]})
    first = reply["operationTime"]
    await client.crm.customers.update_one({"_id": 1}, {"$set": {"n": 2}})
    at = ClusterTime(first.time, first.inc)
    assert await collections.find("crm", "customers", "_id", [1], at=at) == [{"_id": 1, "n": 1}]
    assert await collections.find("crm", "customers", "_id", [1]) == [{"_id": 1, "n": 2}]
    assert (
        await collections.find("crm", "customers", "_id", [1], at=ClusterTime(first.time - 10**6, 1)) is None
    )


@pytest.mark.parametrize(("code", "says"), [(13, r"Unauthorized \(13\)"), (91, r"ShutdownInProgress \(91\)")])
async def test_what_is_refused_is_waited_for(client: Client, code: int, says: str) -> None:
    """Rights may be granted, and a server comes back."""
    collections = MongoCollections(client)
    async with failing(client, "find", "listCollections", errorCode=code, times=9):
        with pytest.raises(Unreachable, match=rf"crm\.customers cannot be read: {says}"):
            await collections.find("crm", "customers", "_id", [1])
        with pytest.raises(Unreachable, match=says):
            await collections.has("crm", "customers")
