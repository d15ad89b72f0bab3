"""The API as a source: its positions, and what can be tried before it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel

from eventbus.sdk import ClusterTime, Position, SourceContext, SourcePolicy
from eventbus_source_http.api import Api
from eventbus_source_http.options import HttpSourceOptions
from eventbus_source_http.places import BEGINNING, before, cluster_time, value_of
from eventbus_source_http.reader import HttpReader

__all__ = ["HttpSource"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HttpSource:
    """Gives each item of an API that is new or changed."""

    Options: ClassVar[type[BaseModel]] = HttpSourceOptions

    def __init__(self, options: HttpSourceOptions, context: SourceContext) -> None:  # noqa: ARG002 - no MongoDB
        self._options = options
        self.policy = SourcePolicy()

    async def check(self) -> None:
        """See `eventbus.sdk.Source`."""
        api = Api(self._options)
        try:
            await api.page(api.first(0))
        finally:
            await api.close()

    async def now(self) -> Position:
        """See `eventbus.sdk.Source`. Numbers are read to their end, for nothing else tells the last one."""
        if self._options.order == "number":
            return await self._end()
        api = Api(self._options)
        try:
            present = (await api.page(api.first(0))).present
        finally:
            await api.close()
        settled = present - timedelta(seconds=self._options.settle) - _EPOCH
        value = max(settled // timedelta(microseconds=1), 0)
        return Position(before(value), cluster_time=cluster_time(value, self._options.order))

    async def oldest(self) -> Position:
        """See `eventbus.sdk.Source`: the beginning, for the API has all its items."""
        return BEGINNING

    def at(self, time: ClusterTime) -> Position:
        """See `eventbus.sdk.Source`. Numbers have no time: the beginning is before whatever is asked for."""
        if self._options.order == "number":
            return BEGINNING
        return Position(before(time.seconds * 1_000_000), cluster_time=ClusterTime(time.seconds, 0))

    def position(self, token: str) -> Position:
        """See `eventbus.sdk.Source`."""
        value = value_of(token, self._options.order)
        return Position(token, cluster_time=cluster_time(value, self._options.order))

    def reader(self, start: Position) -> HttpReader:
        """See `eventbus.sdk.Source`."""
        return HttpReader(self._options, start)

    async def _end(self) -> Position:
        reader = HttpReader(self._options, BEGINNING)
        try:
            return await reader.run_to_the_end()
        finally:
            await reader.close()
