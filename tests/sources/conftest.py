"""Servers and readers for the tests of sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from eventbus.devservices import MongoService
from tests.sources.watching import APP_NAME, Client, Watch, impatient_client


@pytest.fixture
def anyio_backend() -> str:
    """The driver knows asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def old_mongo() -> Iterator[MongoService]:
    """A replica set of one mongod 6.0.5, which cannot split large events."""
    with MongoService.start(version="6.0.5", own=True) as service:
        yield service


@pytest.fixture(scope="session")
def faulty_mongo() -> Iterator[MongoService]:
    """A replica set of one mongod 6.0.27 that tests of this folder may hurt, and must leave whole."""
    with MongoService.start(own=True) as service:
        yield service


@pytest.fixture(params=["6.0.27", "6.0.5"])
def either_mongo(request: pytest.FixtureRequest) -> MongoService:
    """Each of the two builds in turn, for what may differ between them."""
    name = "mongo" if request.param == "6.0.27" else "old_mongo"
    service: MongoService = request.getfixturevalue(name)
    return service


@pytest.fixture
async def client(mongo: MongoService) -> AsyncIterator[Client]:
    """A client of the shared server, with an appName that fail points can aim at."""
    async with Client(mongo.uri, appname=APP_NAME) as client:
        yield client


@pytest.fixture
async def either_client(either_mongo: MongoService) -> AsyncIterator[Client]:
    """A client of each build in turn."""
    async with Client(either_mongo.uri, appname=APP_NAME) as client:
        yield client


@pytest.fixture
async def faulty_client(faulty_mongo: MongoService) -> AsyncIterator[Client]:
    """A client of the server that may be hurt; it notices soon when the server is gone."""
    async with impatient_client(faulty_mongo.uri) as client:
        yield client


@pytest.fixture(params=["6.0.27", "6.0.5"])
def either_faulty_mongo(request: pytest.FixtureRequest) -> MongoService:
    """Each of the two builds in turn, for tests that hurt a server and leave it whole."""
    name = "faulty_mongo" if request.param == "6.0.27" else "old_mongo"
    service: MongoService = request.getfixturevalue(name)
    return service


@pytest.fixture
async def either_faulty_client(either_faulty_mongo: MongoService) -> AsyncIterator[Client]:
    """A client of each build in turn; it notices soon when the server is gone."""
    async with impatient_client(either_faulty_mongo.uri) as client:
        yield client


@pytest.fixture
async def watch(client: Client, fresh_database: str) -> AsyncIterator[Watch]:
    """Makes readers on the shared server, by default of all collections of a fresh database."""
    async with Watch(client, fresh_database) as watch:
        yield watch


@pytest.fixture
async def either_watch(either_client: Client, fresh_database: str) -> AsyncIterator[Watch]:
    """Makes readers on each build in turn."""
    async with Watch(either_client, fresh_database) as watch:
        yield watch
    await either_client.drop_database(fresh_database)


@pytest.fixture
async def faulty_watch(faulty_client: Client, fresh_database: str) -> AsyncIterator[Watch]:
    """Makes readers on the server that may be hurt."""
    async with Watch(faulty_client, fresh_database) as watch:
        yield watch


@pytest.fixture
async def either_faulty_watch(either_faulty_client: Client, fresh_database: str) -> AsyncIterator[Watch]:
    """Makes readers on each build in turn, on a server that may be hurt."""
    async with Watch(either_faulty_client, fresh_database) as watch:
        yield watch


@pytest.fixture
async def old_watch(old_mongo: MongoService, fresh_database: str) -> AsyncIterator[Watch]:
    """Makes readers on the build that cannot split large events."""
    async with Client(old_mongo.uri, appname=APP_NAME) as client:
        async with Watch(client, fresh_database) as watch:
            yield watch
        await client.drop_database(fresh_database)
