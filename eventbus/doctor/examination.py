"""All checks, in the order in which one needs another: what cannot be asked after a failure is left out."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.config import Config, MongoDBAccess, MongoDBState, SQLiteState
from eventbus.doctor import server
from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, Verdict, well
from eventbus.doctor.images import images
from eventbus.doctor.oplog import Oplog, Positions, oplog_of, position_findings, reach
from eventbus.doctor.privileges import rights_of, source_privileges, state_privileges
from eventbus.doctor.state import letters, written_to_file, written_to_mongodb
from eventbus.doctor.targets import target
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.servers import most_connections, open_client, open_source, open_store
from eventbus.sources.mongodb.errors import Reaction, failure_of
from eventbus.sources.mongodb.options import MongoOptions
from eventbus.state.access import Access
from eventbus.state.store import Store

__all__ = ["Examination"]

_PURPOSE = "doctor"
_POOL_SIZE = 4


class Examination:
    """One look at everything that a configuration needs.

    Args:
        config: The configuration.
        subscriptions: Names of the subscriptions to look at; their sinks are looked at, too.
        write: Whether to send each sink a marked event.
        sender: Who asks, for whoever finds such an event.
        now: Our clock.
    """

    def __init__(
        self,
        config: Config,
        subscriptions: Sequence[str],
        *,
        write: bool = False,
        sender: str = "",
        now: server.Clock = time.time,
    ) -> None:
        self._config = config
        self._subscriptions = subscriptions
        self._write = write
        self._sender = sender
        self._now = now
        self._oplog: Oplog | None = None
        self._hopeless: set[str] = set()
        """Subscriptions whose streams need not be tried."""

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """What is found, as it is found."""
        for part in (self._of_mongodb(), self._of_state()):
            async with aclosing(part) as findings:  # whoever reads may end early, and a client is open
                async for finding in findings:
                    yield finding
        for name in self._sinks():
            yield await target(self._config, name, write=self._write, sender=self._sender)

    async def _of_mongodb(self) -> AsyncGenerator[Finding, None]:
        try:
            async with self._client(self._config.mongodb) as client:
                try:
                    async with aclosing(self._of_deployment(client)) as findings:
                        async for finding in findings:
                            yield finding
                except PyMongoError as error:
                    yield server.silence(client, error)
        except ConfigurationError as error:
            yield found("topology.refused", str(error))

    async def _of_deployment(self, client: AsyncMongoClient[Any]) -> AsyncGenerator[Finding, None]:
        greeting = await server.greeted(client, self._now)
        shape = server.topology(greeting)
        yield shape
        yield server.version(greeting)
        yield server.clock(greeting)
        yield await server.pool(client, most_connections(self._config))
        if shape.verdict is not Verdict.OK:
            return
        for finding in source_privileges(self._config, self._subscriptions, await rights_of(client)):
            yield finding
            if finding.code == "privileges.source":
                self._hopeless.add(finding.about)
            if finding.code == "privileges.nobody":
                return
        async for finding in self._of_streams(client):
            yield finding
        oplog = await oplog_of(client)
        if isinstance(oplog, Finding):
            yield oplog
            return
        self._oplog = oplog
        yield reach(oplog)

    async def _of_streams(self, client: AsyncMongoClient[Any]) -> AsyncGenerator[Finding, None]:
        own = self._config.state.database if isinstance(self._config.state, MongoDBState) else None
        for name in self._subscriptions:
            if name in self._hopeless:
                continue
            yield await self._opened(name)
            options = self._config.subscriptions[name].source.options
            if isinstance(options, MongoOptions):
                async for finding in images(client, name, options, own):
                    yield finding

    async def _opened(self, name: str) -> Finding:
        try:
            async with open_source(self._config, name) as source:
                await source.check()
        except (ConfigurationError, Unreachable) as error:
            return found("stream.refused", str(error), about=name)
        return well("stream", "the server opens it", name)

    async def _of_state(self) -> AsyncGenerator[Finding, None]:
        state = self._config.state
        if isinstance(state, SQLiteState):
            finding = await written_to_file(state)
            yield finding
            if finding.verdict is not Verdict.OK or not state.path.exists():
                return
        else:
            is_well = True
            async with aclosing(self._of_mongodb_state(state)) as findings:
                async for finding in findings:
                    yield finding
                    is_well = is_well and finding.verdict is Verdict.OK
            if not is_well:
                return
        try:
            async with open_store(self._config, access=Access.READ) as store:
                async for finding in self._of_positions(store):
                    yield finding
                yield await letters(self._config, store)
        except Unreachable as error:
            yield found("state.unreachable", str(error))
        except ConfigurationError as error:
            yield found("state.refused", str(error))

    async def _of_mongodb_state(self, state: MongoDBState) -> AsyncGenerator[Finding, None]:
        try:
            async with self._client(state.access) as client:
                finding = state_privileges(self._config, await rights_of(client))
                yield finding
                if finding.verdict is Verdict.OK:
                    yield await written_to_mongodb(client, state.database)
        except PyMongoError as error:
            failure = failure_of(error)
            is_refused = failure.reaction is Reaction.FATAL_CONFIGURATION
            yield found("state.refused" if is_refused else "state.unreachable", failure.reason)
        except ConfigurationError as error:
            yield found("state.refused", str(error))

    async def _of_positions(self, store: Store) -> AsyncGenerator[Finding, None]:
        if self._oplog is None:
            return
        warning = self._config.daemon.headroom_warning
        for finding in position_findings(self._oplog, await self._positions(store), warn_below_secs=warning):
            yield finding

    async def _positions(self, store: Store) -> Positions:
        """Of the routes that are configured, those that have one."""
        positions = {}
        for name in self._subscriptions:
            stored = await store.positions(name)
            for route in self._config.subscriptions[name].routes:
                if route.name in stored:
                    positions[name, route.name] = stored[route.name]
        return positions

    def _sinks(self) -> list[str]:
        """Those of the subscriptions' routes, in the order in which they were declared."""
        used = {
            route.sink for name in self._subscriptions for route in self._config.subscriptions[name].routes
        }
        return [name for name in self._config.sinks if name in used]

    @asynccontextmanager
    async def _client(self, access: MongoDBAccess) -> AsyncIterator[AsyncMongoClient[Any]]:
        preference = self._config.read_preference if access is self._config.mongodb else None
        async with open_client(access, _PURPOSE, _POOL_SIZE, preference) as client:
            yield client
