"""The admin API as an application: each endpoint behind the same checks, each answer in the same form.

Nothing here holds up a delivery: few requests are worked on at once, each for a bounded time, and what is
long is sent while it is made, with a look at the events in between.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import anyio
import structlog
from aiohttp import web

from eventbus.api import dead_letters, examining, operating, running, sinks
from eventbus.api.access import Access, Caller
from eventbus.api.checking import body_of, params_of
from eventbus.api.endpoints import Call, Endpoint
from eventbus.api.openapi import PREFIX, document
from eventbus.api.problems import Refused, answered
from eventbus.api.reach import Reach
from eventbus.errors import ConfigurationError, EventbusError, NotFound, Unreachable
from eventbus.telemetry import metrics

__all__ = ["ENDPOINTS", "LARGEST_BODY", "AdminApi"]

log = structlog.get_logger("eventbus.api")

LARGEST_BODY: Final = 64 << 10
_MOST_AT_ONCE: Final = 8
_MOST_WAITING: Final = 64
_MOST_EXPORTS: Final = 2
_REQUEST_SECS: Final = 30.0
_WRITE_SECS: Final = 30.0
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPEN: Final = frozenset({"/livez", "/readyz"})
_METRICS: Final = "/metrics"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

ENDPOINTS: Final[Sequence[Endpoint]] = (
    *running.ENDPOINTS,
    *examining.ENDPOINTS,
    *operating.ENDPOINTS,
    *dead_letters.ENDPOINTS,
    *sinks.ENDPOINTS,
)


@dataclass(slots=True)
class _Asked:
    """What is known of a request while it is worked on.

    Args:
        request_id: Names it.
        caller: Who asks, once that is known.
        is_dry: Whether it only wants to know what would happen.
    """

    request_id: str
    caller: Caller | None = None
    is_dry: bool = False


_ASKED: Final[ContextVar[_Asked]] = ContextVar("eventbus_api_request")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminApi:
    """Puts endpoints and their checks into an application.

    Args:
        access: Who may ask.
        reach: The servers that answers need.
        metrics_need_token: Whether metrics do.
    """

    def __init__(self, access: Access, reach: Reach, *, metrics_need_token: bool) -> None:
        self._access = access
        self._reach = reach
        self._open = _OPEN if metrics_need_token else _OPEN | {_METRICS}
        self._working = anyio.CapacityLimiter(_MOST_AT_ONCE)
        self._waiting = anyio.CapacityLimiter(_MOST_WAITING)
        self._exporting = anyio.CapacityLimiter(_MOST_EXPORTS)
        self._document = document(ENDPOINTS)

    def application(self) -> web.Application:
        """The application, with every endpoint of ``/v1``."""
        app = web.Application(middlewares=[self._answered, self._admitted], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(_add_headers)
        app.router.add_route("GET", f"{PREFIX}/openapi.json", self._describe)
        for endpoint in ENDPOINTS:
            app.router.add_route(endpoint.method, PREFIX + endpoint.path, self._serving(endpoint))
        return app

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give the request its id, and every refusal its form."""
        asked = _Asked(self._request_id(request))
        _ASKED.set(asked)
        with structlog.contextvars.bound_contextvars(request_id=asked.request_id):
            return await self._told(request, handler, asked)

    async def _told(self, request: web.Request, handler: Handler, asked: _Asked) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return answered(refused, asked.request_id)
        except web.HTTPNotFound:
            return answered(
                Refused("not_found", "there is no such path: see /v1/openapi.json"), asked.request_id
            )
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            wrong = Refused("method_not_allowed", f"it takes {allowed}", headers={"Allow": allowed})
            return answered(wrong, asked.request_id)
        except Exception as error:  # noqa: BLE001 - the library would say nothing of it
            resource = request.match_info.route.resource
            operation = resource.canonical if resource is not None else "none"
            return answered(_bug(operation, error), asked.request_id)

    @web.middleware
    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let nobody in who may not, whatever the path is, even one that there is not."""
        if request.path in _OPEN:
            return await handler(request)
        self._access.check_name(request)
        if request.path not in self._open:
            _ASKED.get().caller = self._access.caller_of(request)
        return await handler(request)

    def _request_id(self, request: web.Request) -> str:
        """The one that came, if it can be shown; else a new one."""
        sent = request.headers.get("X-Request-Id", "")
        good = _REQUEST_ID.fullmatch(sent) and not self._access.is_secret(sent)
        return sent if good else secrets.token_hex(16)

    async def _describe(self, _request: web.Request) -> web.Response:
        metrics.api_request("describe", 200)
        return web.json_response(self._document)

    def _serving(self, endpoint: Endpoint) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                response = await self._serve(endpoint, request)
            except Refused as refused:
                response = answered(refused, _ASKED.get().request_id)
            _tell(endpoint, request, response.status)
            return response

        return serve

    async def _serve(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        asked = _ASKED.get()
        caller = asked.caller
        assert caller is not None, "nobody comes here without a token"
        if endpoint.scope == "write" and not caller.may_write:
            raise Refused("forbidden", f"the token {caller.name} has the scope read, and this needs write")
        params = params_of(request, endpoint)
        body = await body_of(request, endpoint)
        asked.is_dry = bool(getattr(body, "dry_run", False))
        call = Call(self._reach.config, self._reach, caller)
        if endpoint.answer is None:
            return await self._export(endpoint, request, call, params)
        places = self._waiting if endpoint.waits else self._working
        if places.statistics().tasks_waiting >= _MOST_WAITING:
            raise Refused("busy", "too much is asked at once", headers={"Retry-After": "1"})
        with _mapped(endpoint), anyio.fail_after(_REQUEST_SECS):
            async with places:
                answer = await endpoint.handler(call, params, body)
        return web.Response(
            status=endpoint.status,
            body=answer.model_dump_json(by_alias=True).encode(),
            content_type="application/json",
        )

    async def _export(
        self, endpoint: Endpoint, request: web.Request, call: Call, params: Any
    ) -> web.StreamResponse:
        """Lines, while they are made. What breaks off in the middle has no end, so that everybody sees it."""
        try:
            self._exporting.acquire_nowait()
        except anyio.WouldBlock:
            raise Refused(
                "busy", "two exports are under way already", headers={"Retry-After": "10"}
            ) from None
        try:
            with _mapped(endpoint):
                lines = await endpoint.handler(call, params, None)
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await response.prepare(request)
            try:
                async with aclosing(lines):
                    async for line in lines:
                        with anyio.fail_after(_WRITE_SECS):
                            await response.write(line)
                        await anyio.lowlevel.checkpoint()
            except Exception as error:  # noqa: BLE001 - what has begun can only be broken off
                if isinstance(error, EventbusError | OSError):  # TimeoutError is one of the last
                    log.warning("api_export_broken", reason=str(error))
                else:
                    _bug(endpoint.name, error)
                if request.transport is not None:
                    request.transport.abort()
                return response
            await response.write_eof()
            return response
        finally:
            self._exporting.release()


class _mapped:  # noqa: N801 - reads as the function it is
    """What may happen to an answer, as a refusal."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        match error:
            case None | Refused():
                return
            case NotFound():
                raise Refused("not_found", str(error)) from None
            case ConfigurationError():
                raise Refused("invalid", str(error), faults=[("", one) for one in error.problems]) from None
            case Unreachable():
                raise Refused("unavailable", str(error), headers={"Retry-After": "1"}) from None
            case TimeoutError():
                raise Refused("unavailable", f"no answer within {_REQUEST_SECS:.0f} s") from None
            case Exception():
                raise _bug(self._endpoint.name, error) from None


def _bug(operation: str, error: Exception) -> Refused:
    """Something that nobody thought of: written down, and told without a word of what it was."""
    log.error("api_failed", operation=operation, exc_info=error)
    return Refused("failed", "see api_failed in the daemon's log")


def _tell(endpoint: Endpoint, request: web.Request, status: int) -> None:
    """Count it; and write down what was asked for by whoever may act, done or not."""
    metrics.api_request(endpoint.name, status)
    if endpoint.scope == "read":
        return
    done = status < 400
    asked = _ASKED.get()
    named = {name: value for name, value in request.match_info.items() if done}
    log.info(
        "api_written",
        token=asked.caller.name if asked.caller is not None else "",
        method=endpoint.method,
        path=PREFIX + endpoint.path,
        what=endpoint.name,
        result="done" if done else "refused" if status < 500 else "failed",
        dry_run=asked.is_dry,
        status=status,
        **named,
    )


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    if (asked := _ASKED.get(None)) is not None:
        response.headers["X-Request-Id"] = asked.request_id
