"""The servers that answers of the admin API need, by connections that carry no event.

The state store has a client of its own here, which is opened when somebody first asks; a source or a sink is
opened for one request. So what is asked takes no connection, nor the store's one thread, from a delivery.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.administration.seen import SubscriptionSeen
from eventbus.api.problems import Refused
from eventbus.config import Config
from eventbus.doctor.oplog import Oplog, oplog_of
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.reloading.outcome import Reloads
from eventbus.sdk import Source
from eventbus.state.store import Store

__all__ = ["Examined", "Installation", "Reach"]

_LOOK_AGAIN_SECS: Final = 5.0
_TRY_AGAIN_SECS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Installation:
    """What there is to administer, and how it is opened.

    Args:
        config: What the daemon runs at the moment.
        seen: What the daemon says of its subscriptions.
        store: Opens the state store, for what operators want.
        source: Opens the source of a subscription.
        client: Opens a client of the deployment that is read.
        reloads: Takes another configuration; it goes on if nobody waits for it any more.
        written: Reads what stands in the daemon's files now, and puts nothing in force.
    """

    config: Callable[[], Config]
    seen: Callable[[], Mapping[str, SubscriptionSeen]]
    store: Callable[[Config], AbstractAsyncContextManager[Store]]
    source: Callable[[Config, str], AbstractAsyncContextManager[Source]]
    client: Callable[[Config], AbstractAsyncContextManager[AsyncMongoClient[Any]]]
    reloads: Reloads
    written: Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Examined:
    """What the last look at everything has found.

    Args:
        config: The configuration that was in force.
        names: The subscriptions that were looked at.
        begun: When it began, in seconds of the loop's clock.
        answer: What was answered.
    """

    config: Config
    names: Sequence[str]
    begun: float
    answer: Mapping[str, Any]

    def is_of(self, config: Config, names: Sequence[str], *, max_age_secs: float) -> bool:
        """Whether it answers the same question, and is young enough."""
        is_young = anyio.current_time() - self.begun <= max_age_secs
        return self.config is config and self.names == names and is_young


class Reach:
    """Opens what an answer needs, and keeps open what the next one needs too.

    Args:
        installation: What there is.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._stack = AsyncExitStack()
        self._opening = anyio.Lock()
        self._store: Store | None = None
        self._failed: tuple[float, str] | None = None
        self._oplog: tuple[float, Oplog | str] | None = None
        self._client: AsyncMongoClient[Any] | None = None
        self.looking = anyio.Lock()
        """Held while everything there is is looked at."""
        self.examined: Examined | None = None
        """What the last look has found."""

    @property
    def config(self) -> Config:
        """What the daemon runs at the moment."""
        return self.installation.config()

    def seen(self) -> Mapping[str, SubscriptionSeen]:
        """What the daemon says of its subscriptions."""
        return self.installation.seen()

    async def store(self) -> Store:
        """The state store.

        Raises:
            Refused: It is away; whoever asks again soon hears so at once.
        """
        async with self._opening:
            if self._store is None:
                self._store = await self._opened()
            return self._store

    @asynccontextmanager
    async def source(self, subscription: str) -> AsyncIterator[Source]:
        """The source of a subscription, for a question or two."""
        async with self.installation.source(self.config, subscription) as source:
            yield source

    async def oplog(self) -> Oplog | str:
        """The oplog, as it was a few seconds ago at most; or why it is not known."""
        async with self._opening:
            now = time.monotonic()
            if self._oplog is None or now - self._oplog[0] > _LOOK_AGAIN_SECS:
                self._oplog = (now, await self._asked())
            return self._oplog[1]

    def remember(self, config: Config, names: Sequence[str], begun: float, answer: Mapping[str, Any]) -> None:
        """Keep what a look has found, for whoever asks the same soon."""
        self.examined = Examined(config, names, begun, answer)

    async def close(self) -> None:
        """Close what is open."""
        await self._stack.aclose()

    async def _opened(self) -> Store:
        if self._failed is not None and time.monotonic() - self._failed[0] < _TRY_AGAIN_SECS:
            raise Refused("unavailable", self._failed[1], headers={"Retry-After": "1"})
        try:
            store = await self._stack.enter_async_context(self.installation.store(self.config))
        except (ConfigurationError, Unreachable) as error:
            self._failed = (time.monotonic(), str(error))
            raise Refused("unavailable", str(error), headers={"Retry-After": "1"}) from None
        return store

    async def _asked(self) -> Oplog | str:
        try:
            if self._client is None:
                opened = self.installation.client(self.config)
                self._client = await self._stack.enter_async_context(opened)
            found = await oplog_of(self._client)
        except (ConfigurationError, PyMongoError):
            return "mongodb.uri cannot be used: headroom is not known"
        return found if isinstance(found, Oplog) else f"headroom is not known: {found.text}"
