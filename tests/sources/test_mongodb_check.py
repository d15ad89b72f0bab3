"""What is found before anything runs: which server, which rights, which part of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.sdk import SourceContext
from eventbus.sources.mongodb import MongoOptions, MongoSource
from tests.sources.faults import failing, no_cursors
from tests.sources.watching import Client, Document, Watch

pytestmark = [pytest.mark.anyio, pytest.mark.services]

USER, PASSWORD = "root", "correct-horse"


@pytest.fixture(scope="module")
def guarded_mongo() -> Iterator[MongoService]:
    """A replica set that wants a password, with a user who may read nothing but ``shop.orders``."""
    with MongoService.start(auth=(USER, PASSWORD), own=True) as service:
        with MongoClient[Document](service.uri) as client:
            reads = [
                {"resource": {"db": "shop", "collection": "orders"}, "actions": ["find", "changeStream"]}
            ]
            client.admin.command("createRole", "reader", privileges=reads, roles=[])
            client.admin.command("createUser", "reader", pwd=PASSWORD, roles=["reader"])
        yield service


async def problems(uri: str, **options: Any) -> list[str]:
    """What `check` says is wrong."""
    async with Client(uri, serverSelectionTimeoutMS=1000) as client:
        source = MongoSource(MongoOptions(**options), SourceContext("sub", client, None))
        with pytest.raises(ConfigurationError) as caught:
            await source.check()
    assert PASSWORD not in str(caught.value)
    return list(caught.value.problems)


async def test_what_is_right(either_watch: Watch) -> None:
    """Nothing is said, and nothing is left at the server."""
    await either_watch.source(
        collections=["a", "b"], match={"a": 1}, pipeline=[{"$unset": "x"}], before="required"
    ).check()
    await no_cursors(either_watch.client)


@pytest.mark.parametrize("set_name", ["?directConnection=true", "", "?replicaSet=rs0"])
async def test_standalone(set_name: str) -> None:
    """A standalone server is named as such, with what to do, however the URI names it."""
    with MongoService.start(replica_set=False, own=True) as standalone:
        (problem,) = await problems(f"mongodb://127.0.0.1:{standalone.port}/{set_name}", database="shop")
    assert "standalone server" in problem
    assert "--replSet" in problem
    assert "rs.initiate()" in problem


async def test_another_replica_set(mongo: MongoService) -> None:
    """A set of another name is no mere absence."""
    (problem,) = await problems(f"mongodb://127.0.0.1:{mongo.port}/?replicaSet=elsewhere", database="shop")
    assert "elsewhere" in problem


async def test_wrong_password(guarded_mongo: MongoService) -> None:
    """Wrong credentials are told without them."""
    uri = guarded_mongo.uri.replace(PASSWORD, f"in{PASSWORD}")
    (problem,) = await problems(uri, database="shop")
    assert problem.startswith("mongodb.uri: Authentication failed")


@pytest.mark.parametrize("user", [None, "reader"])
async def test_missing_rights(guarded_mongo: MongoService, user: str | None) -> None:
    """Nobody, and somebody without the right to read these changes, is told which rights are needed."""
    login = f"{user}:{PASSWORD}@" if user else ""
    uri = guarded_mongo.uri.replace(f"{USER}:{PASSWORD}@", login)
    (problem,) = await problems(uri, database="shop")
    assert "changeStream" in problem


async def test_least_rights(guarded_mongo: MongoService) -> None:
    """The rights find and changeStream on what is read are enough, for reading and for leaving nothing."""
    uri = guarded_mongo.uri.replace(f"{USER}:", "reader:")
    async with Client(uri) as client, Client(guarded_mongo.uri) as root:
        async with Watch(client, "shop") as watch:
            await watch.source(collections=["orders"]).check()
            reading = await watch.reader(collections=["orders"])
            await root.shop.orders.insert_one({"_id": 1})
            await reading.events(1)
        await no_cursors(root)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"match": {"$foo": 1}}, ["sub.source.match: the server says: unknown top level operator: $foo"]),
        ({"match": {"a": {"$foo": 1}}}, ["sub.source.match: the server says: unknown operator: $foo"]),
        (
            {"match": {"$where": "1"}, "pipeline": [{"$unset": "x"}]},
            ["sub.source.match: the server says: $where"],
        ),
        (
            {"match": {"a": 1}, "pipeline": [{"$sett": {}}]},
            ["sub.source.pipeline: the server says: Unrecognized"],
        ),
        ({"pipeline": [{"$project": {"a": {"$foo": 1}}}]}, ["sub.source.pipeline: the server says: "]),
        (
            {"match": {"$foo": 1}, "pipeline": [{"$bar": {}}]},
            [
                "sub.source.match: the server says: unknown",
                "sub.source.pipeline: the server says: Unrecognized",
            ],
        ),
    ],
    ids=str,
)
async def test_what_the_server_refuses(
    either_mongo: MongoService, options: Document, told: list[str]
) -> None:
    """The server's own words, with the path of each part that it refuses."""
    said = await problems(either_mongo.uri, database="shop", **options)
    assert len(said) == len(told)
    for problem, beginning in zip(said, told, strict=True):
        assert problem.startswith(f"subscriptions.{beginning}")


@pytest.mark.parametrize(
    "uri", ["mongodb://127.0.0.1:1/", "mongodb://u:correct-horse@127.0.0.1:1/?replicaSet=rs0"]
)
async def test_not_there(uri: str) -> None:
    """A server that is not there may come yet; the reason fits in a line and holds no password."""
    async with Client(uri, serverSelectionTimeoutMS=300) as client:
        source = MongoSource(MongoOptions(database="shop"), SourceContext("sub", client, None))
        for call in (source.check, source.now):
            with pytest.raises(Unreachable, match=r"refused|failed") as caught:
                await call()
            assert PASSWORD not in str(caught.value)
            assert "Topology" not in str(caught.value)


@pytest.mark.parametrize("code", [91, 10107, 11600, 26])
async def test_not_now(faulty_watch: Watch, code: int) -> None:
    """A server that is starting, stepping down or shutting down is not a mistake of the operator."""
    async with failing(faulty_watch.client, "aggregate", errorCode=code):
        with pytest.raises(Unreachable):
            await faulty_watch.source().check()


async def test_own_database(watch: Watch) -> None:
    """The daemon's own database cannot be watched whole; collections of it that are named can."""
    with pytest.raises(ConfigurationError, match="own state"):
        await watch.source(own_database=watch.name).check()
    await watch.source(own_database=watch.name, collections=["orders"]).check()
    await watch.source(own_database="elsewhere").check()
    await watch.source(own_database=None).check()
