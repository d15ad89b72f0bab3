"""How every route stands: from the state store, MongoDB's oplog and, where one answers, the daemon itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from eventbus.administration.letters import with_replays
from eventbus.administration.pausing import ALL_ROUTES, paused_by
from eventbus.administration.seen import SubscriptionSeen
from eventbus.administration.standing import Facts, standing
from eventbus.config import Config
from eventbus.doctor.oplog import Oplog
from eventbus.state.operations import Control
from eventbus.state.store import LetterQuery, LetterStatus, Store

__all__ = ["status_rows"]

_MOST_GAPS: Final = 1000


async def status_rows(
    config: Config,
    store: Store,
    subscriptions: Sequence[str],
    *,
    seen: Mapping[str, SubscriptionSeen],
    oplog: Oplog | None,
) -> list[dict[str, Any]]:
    """A row for each configured route.

    Args:
        config: Has the subscriptions.
        store: Where their state is.
        subscriptions: Which of them.
        seen: What a daemon says of them, by name.
        oplog: The oplog; None if it cannot be asked.
    """
    controls = await store.controls(subscriptions)
    holders = await store.holders(subscriptions)
    rows = []
    for name in subscriptions:
        positions = await store.positions(name)
        paused = controls.get(name, Control()).paused
        gaps = Counter(gap.route for gap in await store.gaps(subscription=name, limit=_MOST_GAPS))
        for route in config.subscriptions[name].routes:
            facts = Facts(
                name,
                route.name,
                route.sink,
                position=positions.get(route.name),
                paused=paused_by(paused, route.name),
                is_paused_with_all=route.name not in paused and ALL_ROUTES in paused,
                holder=holders.get(name),
                seen=seen.get(name),
                oplog=oplog,
                dead_letters=await _letters(store, name, route.name),
                gaps=gaps[route.name],
                warn_below_secs=config.daemon.headroom_warning,
            )
            rows.append(standing(facts, datetime.now(UTC)))
    return rows


async def _letters(store: Store, subscription: str, route: str) -> int:
    parked = LetterQuery(subscription=subscription, routes=(route,), statuses=(LetterStatus.PARKED,))
    return (await store.count_letters(await with_replays(store, parked))).letters
