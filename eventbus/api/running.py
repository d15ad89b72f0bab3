"""Endpoints about what runs: the daemon, subscriptions, their routes, positions, pauses and gaps."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

import anyio
from pydantic import Field

from eventbus import __version__
from eventbus.administration import pausing
from eventbus.administration.configuration import shown
from eventbus.administration.gaps import gap_row
from eventbus.administration.names import check_route, check_subscription
from eventbus.administration.positions import position_rows
from eventbus.administration.status import status_rows
from eventbus.api import answers
from eventbus.api.endpoints import Call, Endpoint, Nothing, Params, Wish
from eventbus.api.named import there
from eventbus.api.problems import Refused
from eventbus.doctor.oplog import Oplog
from eventbus.state.store import Store

__all__ = ["ENDPOINTS", "Limit", "OfRoute", "OfSubscription"]

_LIBRARIES: Final = ("aiohttp", "aiokafka", "pymongo", "redis")
_RELOAD_SECS: Final = 20.0
_STARTED: Final = datetime.now(UTC)

Limit = Annotated[int, Field(ge=1, le=500)]


class OfSubscription(Params):
    """One subscription."""

    subscription: str
    """Name of the subscription."""


class OfRoute(OfSubscription):
    """One route."""

    route: str
    """Name of the route."""


class _Among(Params):
    subscription: str | None = None
    """Only of this subscription."""


class _Gaps(_Among):
    route: str | None = None
    """Only of this route."""
    limit: Limit = 100
    """At most so many."""


class _Pause(Wish):
    """A wish to pause."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Why, for whoever looks."""


async def _version(call: Call, _: Nothing, __: None) -> answers.Version:
    return answers.Version(
        version=__version__,
        python=platform.python_version(),
        libraries={name: found for name in _LIBRARIES if (found := _version_of(name))},
        instance=call.config.daemon.instance,
        started_at=_STARTED.isoformat(timespec="seconds"),
    )


async def _configuration(call: Call, _: Nothing, __: None) -> answers.Configuration:
    return answers.Configuration(configuration=shown(call.config))


async def _reload(call: Call, _: Nothing, __: None) -> answers.Reload:
    """It goes on though nobody waits for it: what drains would take longer than a request may."""
    outcome = None
    with anyio.move_on_after(_RELOAD_SECS):
        outcome = await call.reach.installation.reloads.reload()
    if outcome is None:
        return answers.Reload(result="under_way", added=[], removed=[], restarted=[], sinks=[])
    if outcome.result == "refused":
        raise Refused(
            "conflict",
            "the files are not put in force, and nothing was changed: see errors",
            faults=[("", problem) for problem in outcome.problems],
        )
    return answers.Reload(
        result=outcome.result,
        added=list(outcome.added),
        removed=list(outcome.removed),
        restarted=list(outcome.restarted),
        sinks=list(outcome.sinks),
    )


async def _subscriptions(call: Call, _: Nothing, __: None) -> answers.Subscriptions:
    return await _standing(call, list(call.config.subscriptions))


async def _subscription(call: Call, which: OfSubscription, _: None) -> answers.SubscriptionStatus:
    there(check_subscription, call.config, which.subscription)
    found = await _standing(call, [which.subscription])
    return found.subscriptions[0]


async def _route(call: Call, which: OfRoute, _: None) -> answers.RouteStatus:
    there(check_route, call.config, which.subscription, which.route)
    found = await _standing(call, [which.subscription])
    return next(route for route in found.subscriptions[0].routes if route.route == which.route)


async def _standing(call: Call, names: Sequence[str]) -> answers.Subscriptions:
    seen = call.reach.seen()
    store = await call.reach.store()
    oplog = await call.reach.oplog()
    rows = await status_rows(
        call.config, store, names, seen=seen, oplog=oplog if isinstance(oplog, Oplog) else None
    )
    declared = [call.config.subscriptions[name] for name in names]
    return answers.Subscriptions(
        subscriptions=[
            answers.SubscriptionStatus(
                name=one.name,
                service=one.service,
                source=one.source.type,
                routes=[answers.RouteStatus(**row) for row in rows if row["subscription"] == one.name],
            )
            for one in declared
        ],
        unknown=[oplog] if isinstance(oplog, str) else [],
    )


async def _positions(call: Call, among: _Among, _: None) -> answers.Positions:
    if among.subscription is not None:
        there(check_subscription, call.config, among.subscription)
    names = list(call.config.subscriptions) if among.subscription is None else [among.subscription]
    rows = await position_rows(call.config, await call.reach.store(), names)
    return answers.Positions(positions=[answers.Position(**row) for row in rows])


async def _gaps(call: Call, among: _Gaps, _: None) -> answers.Gaps:
    store = await call.reach.store()
    found = await store.gaps(subscription=among.subscription, route=among.route, limit=among.limit)
    now = datetime.now(UTC)
    return answers.Gaps(gaps=[answers.Gap(**gap_row(gap, now)) for gap in found])


async def _pause_all(call: Call, which: OfSubscription, wish: _Pause) -> answers.Pause:
    there(check_subscription, call.config, which.subscription)
    return await _paused(call, await call.reach.store(), which.subscription, None, wish)


async def _pause_route(call: Call, which: OfRoute, wish: _Pause) -> answers.Pause:
    there(check_route, call.config, which.subscription, which.route)
    return await _paused(call, await call.reach.store(), which.subscription, which.route, wish)


async def _resume_all(call: Call, which: OfSubscription, _: None) -> answers.Pause:
    return await _resumed(call, which.subscription, None)


async def _resume_route(call: Call, which: OfRoute, _: None) -> answers.Pause:
    return await _resumed(call, which.subscription, which.route)


async def _paused(
    call: Call, store: Store, subscription: str, route: str | None, wish: _Pause
) -> answers.Pause:
    made = await pausing.pause(call.config, store, subscription, route, wish.reason, by=call.by)
    return _told(subscription, route, made, paused=True)


async def _resumed(call: Call, subscription: str, route: str | None) -> answers.Pause:
    """A route that is gone can be resumed too, or its pause would wait for the next of its name."""
    store = await call.reach.store()
    if (route or pausing.ALL_ROUTES) not in await pausing.paused_reasons(store, subscription):
        there(check_subscription, call.config, subscription)
        if route is not None:
            there(check_route, call.config, subscription, route)
    lifted = await pausing.resume(call.config, store, subscription, route)
    return _told(subscription, route, lifted, paused=False)


def _told(subscription: str, route: str | None, pause: pausing.Pause, *, paused: bool) -> answers.Pause:
    return answers.Pause(
        subscription=subscription,
        route=route,
        paused=paused,
        changed=pause.changed,
        reason=pause.reason,
        others=dict(pause.others),
    )


def _version_of(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_ROUTE: Final = f"{_SUBSCRIPTION}/routes/{{route}}"
ENDPOINTS: Final = (
    Endpoint("GET", "/version", "show_version", "What runs here, and since when.", _version, answers.Version),
    Endpoint(
        "GET",
        "/configuration",
        "show_configuration",
        "What the daemon runs, without secrets.",
        _configuration,
        answers.Configuration,
    ),
    Endpoint(
        "POST",
        "/reload",
        "reload",
        "Read the configuration's files again, and begin anew what changed.",
        _reload,
        answers.Reload,
        refusals=["conflict"],
        waits=True,
    ),
    Endpoint(
        "GET",
        "/subscriptions",
        "list_subscriptions",
        "How all routes stand.",
        _subscriptions,
        answers.Subscriptions,
        refusals=["unavailable"],
    ),
    Endpoint(
        "GET",
        _SUBSCRIPTION,
        "show_subscription",
        "How the routes of a subscription stand.",
        _subscription,
        answers.SubscriptionStatus,
        OfSubscription,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "GET",
        _ROUTE,
        "show_route",
        "How a route stands.",
        _route,
        answers.RouteStatus,
        OfRoute,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_SUBSCRIPTION}/pause",
        "pause_subscription",
        "Send nothing on all routes of it.",
        _pause_all,
        answers.Pause,
        OfSubscription,
        _Pause,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_SUBSCRIPTION}/resume",
        "resume_subscription",
        "Lift the pause of all routes of it.",
        _resume_all,
        answers.Pause,
        OfSubscription,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_ROUTE}/pause",
        "pause_route",
        "Send nothing on a route; its events wait in MongoDB.",
        _pause_route,
        answers.Pause,
        OfRoute,
        _Pause,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_ROUTE}/resume",
        "resume_route",
        "Lift the pause of a route.",
        _resume_route,
        answers.Pause,
        OfRoute,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "GET",
        "/positions",
        "list_positions",
        "How far each route has come.",
        _positions,
        answers.Positions,
        _Among,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "GET",
        "/gaps",
        "list_gaps",
        "What routes were never given.",
        _gaps,
        answers.Gaps,
        _Gaps,
        refusals=["unavailable"],
    ),
)
