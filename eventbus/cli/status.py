"""How every route stands: from the state store, MongoDB's oplog and, where one answers, the daemon itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import anyio
from pymongo.errors import PyMongoError
from rich.live import Live

from eventbus.administration.names import check_subscription
from eventbus.administration.seen import SubscriptionSeen
from eventbus.administration.status import status_rows
from eventbus.cli.daemon_seen import address_of, seen_at
from eventbus.cli.printing import note, print_json, print_table, table_of
from eventbus.config import Config
from eventbus.daemon import open_client, open_store
from eventbus.doctor.oplog import Oplog, oplog_of
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.state.sqlite_file import Access
from eventbus.state.store import Store

__all__ = ["print_status", "show_top"]

_COLUMNS: Final = (
    *("subscription", "route", "state", "owner", "lag_secs", "position_age_secs", "headroom_secs"),
    *("left_secs", "dead_letters", "gaps", "why", "next"),
)
_NOTHING: Final = "no routes"


async def print_status(config: Config, subscription: str | None, url: str | None, as_json: bool) -> None:
    """Print how each route stands.

    Args:
        config: The configuration.
        subscription: The only one to look at; None for all.
        url: Where the daemon answers; None for where it does by its configuration.
        as_json: One object a line.

    Raises:
        ConfigurationError: There is no such subscription.
        Unreachable: The state store does not answer.
    """
    look = _Look(config, subscription, url)
    async with open_store(config, access=Access.READ) as store:
        rows = await look.rows(store)
    for sentence in look.unknown:
        note(sentence)
    if not as_json:
        print_table(_COLUMNS, rows, _NOTHING)
        return
    for row in rows:
        print_json(row)


async def show_top(config: Config, subscription: str | None, url: str | None, every_secs: float) -> None:
    """Show it until interrupted, each time anew. A store that is away is said so, and waited for."""
    look = _Look(config, subscription, url)
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            try:
                async with open_store(config, access=Access.READ) as store:
                    while True:
                        table = table_of(_COLUMNS, await look.rows(store))
                        table.caption = "; ".join(look.unknown)
                        live.update(table, refresh=True)
                        await anyio.sleep(every_secs)
            except Unreachable as error:
                live.update(str(error), refresh=True)
                await anyio.sleep(every_secs)


class _Look:
    """Gathers what is known of every route.

    Args:
        config: The configuration.
        subscription: The only one to look at; None for all.
        url: Where the daemon answers; None for where it does by its configuration.
    """

    def __init__(self, config: Config, subscription: str | None, url: str | None) -> None:
        if subscription is not None:
            check_subscription(config, subscription)
        self._config = config
        self._names = [subscription] if subscription is not None else list(config.subscriptions)
        self._address = url or address_of(config.server)
        self.unknown: list[str] = []
        """What could not be found out, and so is left out, for people."""

    async def rows(self, store: Store) -> list[dict[str, Any]]:
        """A row for each configured route."""
        self.unknown = []
        seen, oplog = await self._seen(), await self._oplog()
        return await status_rows(self._config, store, self._names, seen=seen, oplog=oplog)

    async def _seen(self) -> Mapping[str, SubscriptionSeen]:
        if self._address is None:
            self.unknown.append("server.port is 0: --url says where the daemon answers")
            return {}
        seen = await seen_at(self._address)
        if seen is None:
            self.unknown.append(f"no daemon answers at {self._address}: what it alone knows is left out")
        return seen or {}

    async def _oplog(self) -> Oplog | None:
        try:
            async with open_client(self._config.mongodb, "status", 1, self._config.read_preference) as client:
                oplog = await oplog_of(client)
        except (ConfigurationError, PyMongoError):
            self.unknown.append("mongodb.uri cannot be used: headroom is not known")
            return None
        if isinstance(oplog, Oplog):
            return oplog
        self.unknown.append(f"headroom is not known: {oplog.text}")
        return None
