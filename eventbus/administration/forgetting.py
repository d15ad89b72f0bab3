"""Removing the position of a route that is configured no more, while nobody can write it."""

from __future__ import annotations

from eventbus.administration.names import route_names
from eventbus.config import Config
from eventbus.errors import ConfigurationError, NotFound
from eventbus.state.store import Store

__all__ = ["forget_position"]


async def forget_position(config: Config, store: Store, subscription: str, route: str) -> None:
    """Remove it. The lease is held meanwhile, so that no daemon goes on there and writes it again.

    Args:
        config: The configuration, which must not have the route.
        store: Where the position is.
        subscription: Name of the subscription.
        route: Name of the route.

    Raises:
        NotFound: There is no such position.
        ConfigurationError: The route is configured, or somebody runs the subscription.
        Unreachable: The store is away.
    """
    if subscription in config.subscriptions and route in route_names(config, subscription):
        raise ConfigurationError(
            f"route {subscription}/{route} is configured: without its position it would miss changes; "
            f"eventbus position set {subscription} --route {route} moves it"
        )
    if route not in await store.positions(subscription):
        raise NotFound(f"no position of {subscription}/{route} is stored")
    lease = await store.acquire(subscription, lease_secs=config.daemon.lease, reclaim=False)
    if lease is None:
        holder = (await store.holders([subscription])).get(subscription)
        who = holder.instance if holder is not None else "another process"
        raise ConfigurationError(
            f"subscription {subscription} is run by {who}, which may go on at that position: stop it first"
        )
    try:
        await store.forget_position(lease, route)
    finally:
        await store.release(lease)
