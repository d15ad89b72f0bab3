"""The admin server: is it alive, is it ready, what are the numbers; and the admin API under ``/v1``.

Health and metrics are answered from what the daemon already knows; they make it talk to no other server.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from eventbus.api.access import Access
from eventbus.api.application import AdminApi
from eventbus.api.connections import Connections
from eventbus.api.reach import Installation, Reach
from eventbus.config.models import ServerSection, ServerTLSSection
from eventbus.errors import ConfigurationError
from eventbus.http.certificates import showing, trusting
from eventbus.telemetry.metrics import REGISTRY

__all__ = ["Health", "admin_server", "application"]

log = structlog.get_logger("eventbus.api")

_SILENT = logging.getLogger("eventbus.api.silent")
"""The library would log what it cannot parse, word by word, and a token may be in it."""
_SILENT.disabled = True


_HANDSHAKE_SECS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Health:
    """An answer about health.

    Args:
        ok: Whether all is well.
        detail: Why, as a JSON object.
    """

    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def admin_server(
    server: ServerSection,
    installation: Installation,
    *,
    live: Callable[[], Health],
    ready: Callable[[], Health],
) -> AsyncIterator[int]:
    """Serve ``/livez``, ``/readyz``, ``/metrics`` and the admin API while the body runs.

    Args:
        server: Where, and for whom.
        installation: What the admin API is about.
        live: Whether the process should be left alone.
        ready: Whether it does its work.

    Yields:
        The port.

    Raises:
        ConfigurationError: The address cannot be listened on, or a certificate cannot be used.
    """
    context = _context(server.tls) if server.tls is not None else None
    reach = Reach(installation)
    connections = Connections()
    app = application(server, reach, live=live, ready=ready)
    app.middlewares.insert(0, connections.note)
    runner = web.AppRunner(
        app, access_log=None, logger=_SILENT, shutdown_timeout=1.0, keepalive_timeout=75.0, lingering_time=2.0
    )
    await runner.setup()
    connections.server = runner.server
    try:
        listener = await _listening(server, connections, context)
        try:
            bound_port = int(listener.sockets[0].getsockname()[1])
            log.info("admin_server_started", host=server.host, port=bound_port, tls=context is not None)
            if not server.is_local and not server.tokens and server.allow_unauthenticated:
                log.warning("admin_server_unprotected", host=server.host)
            yield bound_port
        finally:
            listener.close()
    finally:
        await runner.cleanup()
        await reach.close()


def application(
    server: ServerSection, reach: Reach, *, live: Callable[[], Health], ready: Callable[[], Health]
) -> web.Application:
    """All that is served."""
    app = AdminApi(Access(server), reach, metrics_need_token=server.metrics_needs_token).application()
    app.router.add_route("GET", "/livez", _answering(live))
    app.router.add_route("GET", "/readyz", _answering(ready))
    app.router.add_route("GET", "/metrics", _metrics)
    return app


async def _listening(
    server: ServerSection, connections: Connections, context: ssl.SSLContext | None
) -> asyncio.Server:
    handshake_secs = _HANDSHAKE_SECS if context is not None else None
    try:
        return await asyncio.get_running_loop().create_server(
            connections, server.host, server.port, ssl=context, ssl_handshake_timeout=handshake_secs
        )
    except OSError as error:
        where = f"{server.host}:{server.port}"
        raise ConfigurationError(f"server: cannot listen on {where}: {error.strerror}") from error


def _context(tls: ServerTLSSection) -> ssl.SSLContext:
    """What connections are encrypted with."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        showing(context, tls.certificate_file, tls.key_file, tls.key_password)
        if tls.client_ca_file is not None:
            trusting(tls.client_ca_file)  # which says what is wrong with it
            context.load_verify_locations(tls.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except ValueError as error:
        raise ConfigurationError(f"server.tls: {error}") from None
    return context


def _answering(ask: Callable[[], Health]) -> Callable[[web.Request], Any]:
    async def answer(_request: web.Request) -> web.Response:
        health = ask()
        body = orjson.dumps({"ok": health.ok, **health.detail}, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(status=200 if health.ok else 503, body=body, content_type="application/json")

    return answer


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
