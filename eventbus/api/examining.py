"""Endpoints that look closely: what is wrong, what a reload would do, and how routes have done.

The first two ask every server there is, so one of them is under way at a time. Nothing of a configuration
comes in a request: whoever could send one would have the daemon read its environment and its files for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Literal

import anyio
from anyio import to_thread
from prometheus_client import generate_latest

from eventbus.administration.names import check_subscription
from eventbus.administration.report import report_rows
from eventbus.administration.throughput import throughput_in
from eventbus.api import examination_answers as answers
from eventbus.api.endpoints import Call, Endpoint, Nothing, Params
from eventbus.api.named import there
from eventbus.api.problems import Refused
from eventbus.config import Config
from eventbus.errors import ConfigurationError
from eventbus.reloading.comparing import Difference, difference
from eventbus.telemetry.metrics import REGISTRY

__all__ = ["ENDPOINTS"]

_LOOK_SECS: Final = 25.0
"""Less than a request may take: what was found by then is told."""
_TELL_AGAIN_SECS: Final = 10.0


class _Among(Params):
    subscription: str | None = None
    """Only of this subscription."""


class _Report(_Among):
    window: Literal["1h", "6h", "24h", "7d", "30d"] = "24h"
    """How far to look back."""


async def _doctor(call: Call, among: _Among, _: None) -> answers.Doctor:
    names = _names(call.config, among.subscription)
    known = call.reach.examined
    if known is not None and known.is_of(call.config, names, max_age_secs=_TELL_AGAIN_SECS):
        return answers.Doctor.model_validate(known.answer)
    async with _alone(call):
        begun = anyio.current_time()
        found = await _examined(call.config, names)
        call.reach.remember(call.config, names, begun, found.model_dump())
    return found


async def _examined(config: Config, names: Sequence[str]) -> answers.Doctor:
    from eventbus.doctor.examination import Examination  # noqa: PLC0415 - a daemon is seldom asked for it

    began_at = datetime.now(UTC)
    rows: list[answers.Finding] = []
    with anyio.move_on_after(_LOOK_SECS) as patience:
        async with aclosing(Examination(config, names).findings()) as findings:
            async for finding in findings:
                rows.append(  # noqa: PERF401 - what was found stays when the time is over
                    answers.Finding.model_validate(finding.row())
                )
    return answers.Doctor(
        examined_at=began_at.isoformat(timespec="seconds"),
        complete=not patience.cancelled_caught,
        findings=rows,
    )


async def _plan(call: Call, _: Nothing, __: None) -> answers.Plan:
    """Other servers than those in force are not asked: what names them needs a restart anyway."""
    from eventbus.preview.planning import planned  # noqa: PLC0415 - as above

    async with _alone(call):
        config = await _written(call)
        change = difference(call.config, config)
        if change.fixed:
            return answers.Plan(reload=_differences(change), agreed=False, routes=[])
        store = await call.reach.store()
        async with call.reach.installation.client(config) as client:
            rows = await planned(config, store, client)
    return answers.Plan(
        reload=_differences(change),
        agreed=all(row.prospect.is_agreed_to for row in rows),
        routes=[answers.PlannedRoute.model_validate(row.row()) for row in rows],
    )


async def _written(call: Call) -> Config:
    """What stands in the daemon's files now."""
    try:
        return await to_thread.run_sync(call.reach.installation.written)
    except ConfigurationError as error:
        raise Refused(
            "conflict",
            "the files are no configuration that could be put in force: see errors",
            faults=[("", problem) for problem in error.problems],
        ) from None


def _differences(change: Difference) -> answers.Differences:
    return answers.Differences(
        needs_restart=list(change.fixed),
        added=list(change.added),
        removed=list(change.removed),
        restarted=list(change.changed),
        sinks=sorted(change.new_sinks | change.old_sinks),
    )


async def _report(call: Call, wanted: _Report, _: None) -> answers.Report:
    names = _names(call.config, wanted.subscription)
    store = await call.reach.store()
    text = generate_latest(REGISTRY).decode()  # here, where the loop is: some gauges ask for its time
    counted = await to_thread.run_sync(throughput_in, text)
    rows = await report_rows(
        call.config, store, names, window=wanted.window, throughput=counted, now=datetime.now(UTC)
    )
    return answers.Report(routes=[answers.RouteReport.model_validate(row) for row in rows])


def _names(config: Config, subscription: str | None) -> list[str]:
    if subscription is None:
        return list(config.subscriptions)
    there(check_subscription, config, subscription)
    return [subscription]


@asynccontextmanager
async def _alone(call: Call) -> AsyncIterator[None]:
    """One look at a time, and nobody queues: whoever waited would hold up those who ask for less."""
    try:
        call.reach.looking.acquire_nowait()
    except anyio.WouldBlock:
        raise Refused(
            "too_many_requests", "another look is under way", headers={"Retry-After": "5"}
        ) from None
    try:
        yield
    finally:
        call.reach.looking.release()


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/doctor",
        "examine",
        "Look for what would keep the daemon's configuration from working.",
        _doctor,
        answers.Doctor,
        _Among,
        refusals=["not_found"],
    ),
    Endpoint(
        "POST",
        "/plan",
        "plan",
        "Say what a reload would do, and what becomes of routes.",
        _plan,
        answers.Plan,
        refusals=["conflict", "unavailable"],
    ),
    Endpoint(
        "GET",
        "/report",
        "report",
        "How each route has done, and what to type next.",
        _report,
        answers.Report,
        _Report,
        refusals=["not_found", "unavailable"],
    ),
)
