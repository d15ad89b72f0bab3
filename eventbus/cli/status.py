"""How every route stands: looked up by the command itself, or by a daemon that is asked with a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import anyio
from pymongo.errors import PyMongoError
from rich.live import Live

from eventbus.administration.names import check_subscription
from eventbus.administration.seen import SubscriptionSeen
from eventbus.administration.status import status_rows
from eventbus.cli.daemon_seen import DaemonAt
from eventbus.cli.printing import note, print_json, print_table, table_of
from eventbus.cli.to_type import naming
from eventbus.config import Config
from eventbus.doctor.oplog import Oplog, oplog_of
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.servers import open_client, open_store
from eventbus.state.access import Access
from eventbus.state.store import Store

__all__ = ["Look", "OwnLook", "RemoteLook", "print_status", "show_top"]

_COLUMNS: Final = (
    *("subscription", "route", "state", "owner", "lag_secs", "position_age_secs", "headroom_secs"),
    *("left_secs", "dead_letters", "gaps", "why", "next"),
)
_NOTHING: Final = "no routes"


class Look(Protocol):
    """Gathers what is known of every route."""

    @property
    def unknown(self) -> Sequence[str]:
        """What could not be found out by the last look, and so is left out, for people."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """A context within which rows can be had."""

    async def rows(self) -> list[dict[str, Any]]:
        """A row for each route."""


async def print_status(look: Look, as_json: bool) -> None:
    """Print how each route stands.

    Args:
        look: Finds it out.
        as_json: One object a line.

    Raises:
        ConfigurationError: There is no such subscription.
        Unreachable: The state store, or the daemon that is asked, does not answer.
    """
    async with look.opened():
        rows = await look.rows()
    for sentence in look.unknown:
        note(sentence)
    if not as_json:
        print_table(_COLUMNS, rows, _NOTHING)
        return
    for row in rows:
        print_json(row)


async def show_top(look: Look, every_secs: float) -> None:
    """Show it until interrupted, each time anew. What is away is said so, and waited for."""
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            try:
                async with look.opened():
                    while True:
                        table = table_of(_COLUMNS, await look.rows())
                        table.caption = "; ".join(look.unknown)
                        live.update(table, refresh=True)
                        await anyio.sleep(every_secs)
            except Unreachable as error:
                live.update(str(error), refresh=True)
                await anyio.sleep(every_secs)


class RemoteLook:
    """What a daemon knows of its routes.

    Args:
        daemon: Is asked.
        subscription: The only one to look at; None for all.
    """

    def __init__(self, daemon: DaemonAt, subscription: str | None) -> None:
        self._daemon = daemon
        self._subscription = subscription
        self.unknown: Sequence[str] = ()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Nothing is kept open."""
        yield

    async def rows(self) -> list[dict[str, Any]]:
        """See `Look`."""
        rows, self.unknown = await self._daemon.standing(self._subscription)
        return rows


class OwnLook:
    """From the state store, MongoDB's oplog and, where one answers, the daemon.

    Args:
        config: The configuration.
        files: Where it is, for the commands that are typed next.
        subscription: The only one to look at; None for all.
        daemon: May be asked; None if nobody knows where it answers.

    Raises:
        ConfigurationError: There is no such subscription.
    """

    def __init__(
        self, config: Config, files: Sequence[Path], subscription: str | None, daemon: DaemonAt | None
    ) -> None:
        if subscription is not None:
            check_subscription(config, subscription)
        self._config = config
        self._named = naming(files)
        self._names = [subscription] if subscription is not None else list(config.subscriptions)
        self._daemon = daemon
        self._store: Store | None = None
        self._unknown: list[str] = []

    @property
    def unknown(self) -> Sequence[str]:
        """See `Look`."""
        return self._unknown

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The state store is kept open."""
        async with open_store(self._config, access=Access.READ) as self._store:
            yield

    async def rows(self) -> list[dict[str, Any]]:
        """See `Look`."""
        assert self._store is not None, "it is not opened"
        self._unknown = []
        seen, oplog = await self._seen(), await self._oplog()
        rows = await status_rows(self._config, self._store, self._names, seen=seen, oplog=oplog)
        return [{**row, "next": row["next"] and self._named(row["next"])} for row in rows]

    async def _seen(self) -> Mapping[str, SubscriptionSeen]:
        if self._daemon is None:
            self._unknown.append("server.port is 0: --url says where the daemon answers")
            return {}
        seen = await self._daemon.seen()
        if seen is None:
            where = self._daemon.address
            self._unknown.append(f"no daemon answers at {where}: what it alone knows is left out")
        return seen or {}

    async def _oplog(self) -> Oplog | None:
        try:
            async with open_client(self._config.mongodb, "status", 1, self._config.read_preference) as client:
                oplog = await oplog_of(client)
        except (ConfigurationError, PyMongoError):
            self._unknown.append("mongodb.uri cannot be used: headroom is not known")
            return None
        if isinstance(oplog, Oplog):
            return oplog
        self._unknown.append(f"headroom is not known: {oplog.text}")
        return None
