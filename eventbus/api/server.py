"""The admin server: is it alive, is it ready, what are the numbers.

It answers from what the daemon already knows; no request makes the daemon talk to another server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from eventbus.errors import ConfigurationError
from eventbus.telemetry.metrics import REGISTRY

__all__ = ["Health", "admin_server"]

log = structlog.get_logger("eventbus.api")


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
    host: str, port: int, *, live: Callable[[], Health], ready: Callable[[], Health]
) -> AsyncIterator[int]:
    """Serve ``/livez``, ``/readyz`` and ``/metrics`` while the body runs.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        live: Whether the process should be left alone.
        ready: Whether it does its work.

    Yields:
        The port.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    app = web.Application()
    app.router.add_get("/livez", _answering(live))
    app.router.add_get("/readyz", _answering(ready))
    app.router.add_get("/metrics", _metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(f"server: cannot listen on {host}:{port}: {error.strerror}") from error
        bound_port = int(runner.addresses[0][1])
        log.info("admin_server_started", host=host, port=bound_port)
        yield bound_port
    finally:
        await runner.cleanup()


def _answering(ask: Callable[[], Health]) -> Callable[[web.Request], Any]:
    async def answer(_request: web.Request) -> web.Response:
        health = ask()
        body = orjson.dumps({"ok": health.ok, **health.detail}, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(status=200 if health.ok else 503, body=body, content_type="application/json")

    return answer


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
