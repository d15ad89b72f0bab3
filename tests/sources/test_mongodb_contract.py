"""The source of MongoDB keeps what every source promises, on a real server."""

from __future__ import annotations

import pytest

from eventbus.sources.mongodb import MongoSource
from eventbus.testing import SourceContract
from tests.sources.watching import Watch


class _Harness:
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def make_source(self) -> MongoSource:
        """See `SourceHarness`."""
        return self._watch.source()

    async def change(self, count: int) -> None:
        """See `SourceHarness`."""
        for _ in range(count):
            await self._watch.database["orders"].insert_one({})


@pytest.mark.services
class TestMongoSource(SourceContract):
    """A whole database."""

    @pytest.fixture
    async def harness(self, watch: Watch) -> _Harness:
        """A fresh one."""
        return _Harness(watch)
