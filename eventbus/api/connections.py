"""How many connections the admin server has at once.

Whoever reaches the port can open connections without a token, and each takes a descriptor from deliveries.
So where there are many, the one that has been idle for longest makes room; one that is worked on never does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

__all__ = ["MOST", "Connections"]

MOST: Final = 128

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """Makes the protocol of each connection, once `server` is known.

    Args:
        most: From how many on an idle one makes room.
    """

    def __init__(self, most: int = MOST) -> None:
        self.server: web.Server | None = None
        """Serves them."""
        self._most = most
        self._working: set[object] = set()

    def __call__(self) -> web.RequestHandler:
        """The protocol of one more."""
        assert self.server is not None
        there = [one for one in self.server.connections if one.transport is not None]
        if len(there) >= self._most:
            idle = (one for one in there if one not in self._working)
            if (longest := next(idle, None)) is not None:
                longest.force_close()
        return self.server()

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request keep its connection while it is worked on."""
        self._working.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._working.discard(request.protocol)
