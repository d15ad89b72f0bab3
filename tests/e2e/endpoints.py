"""Endpoints of several services, at one address, for tests that ask who was told what."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from aiohttp import web

Body: TypeAlias = dict[str, Any]


class Services:
    """Endpoints that remember what each of them was sent: by path, in order."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[Body]] = defaultdict(list)
        self.sources: set[str] = set()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._started, self._stop = threading.Event(), asyncio.Event()
        serving = self._loop.run_until_complete
        self._thread = threading.Thread(target=serving, args=(self._serve(),), daemon=True)

    @contextmanager
    def running(self) -> Iterator[Services]:
        """Served while the body runs."""
        self._thread.start()
        assert self._started.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert request.headers["webhook-id"] == body["id"]
        self.sources.add(request.headers.get("X-Event-Source", ""))
        self.bodies[request.match_info["name"]].append(body)
        return web.Response()
