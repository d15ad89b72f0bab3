"""What runs by the configuration in force: clients, sinks and specs, each closed once nothing uses it.

A reload is prepared before anything is touched: what is new is made, and sources are asked. Then what changed
is turned over. What did not change keeps its very objects, and never notices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pymongo import AsyncMongoClient

from eventbus.assembly import shared_sink, spec_of
from eventbus.config import Config
from eventbus.reloading.comparing import Difference
from eventbus.reloading.turnover import Closes, Turnover
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.subscription import SubscriptionSpec
from eventbus.runtime.supervisor import Supervisor
from eventbus.sdk import Source
from eventbus.servers import check_all, open_stream_client, source_of, stream_connections
from eventbus.sources.mongodb.collections import MongoCollections

__all__ = ["Addition", "Fleet"]


@dataclass(slots=True, eq=False)
class _Client:
    """A client that reads, for as many readers as its configuration had."""

    client: AsyncMongoClient[Any]
    connections: int
    stack: AsyncExitStack
    users: set[str] = field(default_factory=set)

    async def close(self) -> None:
        await self.stack.aclose()


@dataclass(slots=True)
class Addition:
    """What was made for another configuration, and does not run yet."""

    config: Config
    client: _Client
    sources: Mapping[str, Source]
    sinks: dict[str, SharedSink] = field(default_factory=dict)
    specs: dict[str, SubscriptionSpec] = field(default_factory=dict)


class Fleet:
    """All that runs by one configuration after another.

    Args:
        config: The first one.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        """The one in force."""
        self._sinks: dict[str, SharedSink] = {}
        self._specs: dict[str, SubscriptionSpec] = {}
        self._clients: list[_Client] = []
        self._open: dict[int, Closes] = {}
        """By identity, in the order in which they were made."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            await self._open.popitem()[1].close()

    @property
    def specs(self) -> list[SubscriptionSpec]:
        """What the subscriptions are made from, to be run."""
        return list(self._specs.values())

    def sink(self, name: str) -> SharedSink:
        """A declared sink, for whoever has something to send that is no event of a subscription."""
        return self._sinks[name]

    async def begin(self, config: Config, names: Iterable[str]) -> Addition:
        """A client with room for a configuration, and the sources of some of its subscriptions. No I/O yet.

        Args:
            config: The one in force, or another.
            names: The subscriptions that are to be made.

        Raises:
            ConfigurationError: An address or a certificate cannot be used.
        """
        client = await self._client(config)
        sources = {name: source_of(config, name, client.client) for name in names}
        return Addition(config, client, sources)

    async def check(self, addition: Addition) -> None:
        """Ask its sources whether they accept what is configured.

        Raises:
            ConfigurationError: All that was refused.
            Unreachable: A source does not answer.
        """
        await check_all(addition.sources)

    def make(self, addition: Addition, sinks: Iterable[str]) -> None:
        """Make sinks, none of them open, and the specs of the subscriptions.

        Raises:
            ConfigurationError: What is configured cannot be.
        """
        for name in sinks:
            addition.sinks[name] = shared_sink(addition.config, name)
            self._opened(addition.sinks[name])
        for name, source in addition.sources.items():
            addition.specs[name] = spec_of(
                addition.config,
                name,
                source,
                {**self._sinks, **addition.sinks},
                drain_timeout_secs=addition.config.daemon.drain_timeout,
                collections=MongoCollections(addition.client.client),
            )
            self._opened(addition.specs[name])

    async def discard(self, addition: Addition) -> None:
        """Close what was made in vain."""
        for spec in addition.specs.values():
            await self._close(spec)
        for sink in addition.sinks.values():
            await self._close(sink)
        await self._close_unused_clients()

    def adopt(self, addition: Addition) -> None:
        """What was made is what runs from now on."""
        self.config = addition.config
        self._sinks.update(addition.sinks)
        self._specs.update(addition.specs)
        for client in self._clients:
            client.users -= addition.specs.keys()
        addition.client.users |= addition.specs.keys()

    async def change(self, addition: Addition, change: Difference, supervisor: Supervisor) -> None:
        """Put a prepared configuration in force.

        Args:
            addition: What was made for it.
            change: What is to end and to begin.
            supervisor: Runs the subscriptions.
        """
        turnover = Turnover(
            change,
            self.config,
            addition.config,
            ending={name: self._specs[name] for name in (*change.changed, *change.removed)},
            beginning=addition.specs,
            closing={name: self._sinks[name] for name in change.old_sinks},
            supervisor=supervisor,
            close=self._close,
        )
        for name in change.removed:
            del self._specs[name]
        for name in change.old_sinks:
            del self._sinks[name]
        self.adopt(addition)
        await turnover.run()
        for client in self._clients:
            client.users -= set(change.removed)
        await self._close_unused_clients()

    async def _client(self, config: Config) -> _Client:
        """The newest client, if it has room for what a configuration reads; else one that has."""
        connections = stream_connections(config)
        if self._clients and self._clients[-1].connections >= connections:
            return self._clients[-1]
        stack = AsyncExitStack()
        client = await stack.enter_async_context(open_stream_client(config))
        made = _Client(client, connections, stack)
        self._clients.append(made)
        self._opened(made)
        return made

    async def _close_unused_clients(self) -> None:
        for client in [client for client in self._clients if not client.users]:
            self._clients.remove(client)
            await self._close(client)

    def _opened(self, thing: Closes) -> None:
        self._open[id(thing)] = thing

    async def _close(self, thing: Closes) -> None:
        if self._open.pop(id(thing), None) is not None:
            await thing.close()
