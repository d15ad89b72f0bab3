"""Names that people type, and what the configuration knows of them."""

from __future__ import annotations

from eventbus.config import Config
from eventbus.errors import ConfigurationError
from eventbus.suggestions import did_you_mean, listed

__all__ = ["check_route", "check_sink", "check_subscription", "route_names", "unknown"]


def check_subscription(config: Config, name: str) -> None:
    """A subscription of this name is configured.

    Raises:
        ConfigurationError: There is none; the text says what was probably meant.
    """
    known = config.subscriptions
    if name not in known:
        guess = did_you_mean(name, known)
        raise ConfigurationError(f"no subscription is named {name!r}{guess} (known: {listed(known)})")


def check_route(config: Config, subscription: str, name: str) -> None:
    """A subscription of this name is configured, with a route of that name.

    Raises:
        ConfigurationError: There is none; the text says what was probably meant.
    """
    check_subscription(config, subscription)
    known = route_names(config, subscription)
    if name not in known:
        guess = did_you_mean(name, known)
        raise ConfigurationError(
            f"subscription {subscription} has no route {name!r}{guess} (known: {listed(known)})"
        )


def check_sink(config: Config, name: str) -> None:
    """A sink of this name is declared.

    Raises:
        ConfigurationError: There is none; the text says what was probably meant.
    """
    if name not in config.sinks:
        guess = did_you_mean(name, config.sinks)
        raise ConfigurationError(f"no sink {name!r}{guess} (declared sinks: {listed(config.sinks)})")


def unknown(config: Config, subscription: str | None, route: str | None) -> str | None:
    """What is to be said of a name that is not configured: what it left behind is shown all the same."""
    if subscription is not None and subscription not in config.subscriptions:
        return f"no subscription is named {subscription!r}{did_you_mean(subscription, config.subscriptions)}"
    if route is not None:
        among = config.subscriptions if subscription is None else (subscription,)
        known = {name for declared in among for name in route_names(config, declared)}
        if route.partition("@")[0] not in known:
            return f"no route is named {route!r}{did_you_mean(route, known)}"
    return None


def route_names(config: Config, subscription: str) -> list[str]:
    """The routes of a subscription, in the order in which they were written."""
    return [route.name for route in config.subscriptions[subscription].routes]
