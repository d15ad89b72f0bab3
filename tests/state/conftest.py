"""The two stores, each as a place where daemons come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from eventbus.devservices import MongoService
from eventbus.state.mongodb import MongoStore
from eventbus.state.sqlite import SqliteStore
from eventbus.state.store import LetterLimit, Store


class Home:
    """Where daemons keep their state; on SQLite a daemon that starts replaces the one before."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def start(self, instance: str, limit: LetterLimit | None = None) -> Store:
        """A daemon of that name starts; an earlier one has vanished without a word."""
        store = self.make(instance, limit)
        self._stack.push_async_callback(store.close)
        await store.open()
        return store

    async def rivals(self) -> list[Store]:
        """Stores whose calls may meet."""
        raise NotImplementedError

    def make(self, instance: str, limit: LetterLimit | None) -> Store:
        raise NotImplementedError

    async def payload_pieces(self, store: Store) -> int:
        """How many pieces of payloads lie outside the rows."""
        raise NotImplementedError


class MongoHome(Home):
    def __init__(self, stack: AsyncExitStack, uri: str, database: str) -> None:
        super().__init__(stack)
        self.uri = uri
        self.database = database

    def make(self, instance: str, limit: LetterLimit | None) -> Store:
        return MongoStore(self.uri, database=self.database, instance=instance, limit=limit)

    async def payload_pieces(self, store: Store) -> int:
        assert isinstance(store, MongoStore)
        return await store._letters.chunks.count_documents({})

    async def rivals(self) -> list[Store]:
        return [await self.start(f"rival-{number}") for number in range(4)]


class SqliteHome(Home):
    def __init__(self, stack: AsyncExitStack, path: Path) -> None:
        super().__init__(stack)
        self.path = path
        self._last: Store | None = None

    def make(self, instance: str, limit: LetterLimit | None) -> Store:
        return SqliteStore(self.path, instance=instance, limit=limit)

    async def start(self, instance: str, limit: LetterLimit | None = None) -> Store:
        if self._last is not None:
            await self._last.close()
        self._last = await super().start(instance, limit)
        return self._last

    async def payload_pieces(self, store: Store) -> int:
        assert isinstance(store, SqliteStore)
        count = "SELECT count(*) FROM dead_letter_payloads"
        return await store._file.run(lambda db: int(db.execute(count).fetchone()[0]))

    async def rivals(self) -> list[Store]:
        return [await self.start("only")] * 4


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["mongodb", "sqlite"])
async def home(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Home]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            path: Path = request.getfixturevalue("tmp_path")
            yield SqliteHome(stack, path / "state.db")
        else:
            service: MongoService = request.getfixturevalue("mongo")
            yield MongoHome(stack, service.uri, request.getfixturevalue("fresh_database"))


@pytest.fixture
async def store(home: Home) -> Store:
    """The store of a daemon called ``a``."""
    return await home.start("a")
