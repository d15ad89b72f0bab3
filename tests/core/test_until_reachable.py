"""Waiting for what must come back: whatever is called, and for however long."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from eventbus.core.backoff import until_reachable
from eventbus.errors import Unreachable
from tests.runtime.clock import run_virtual


class Server:
    """A server that is away until a moment.

    Args:
        back_at: When it is there.
    """

    def __init__(self, back_at: float) -> None:
        self.tries: list[float] = []
        self._back_at = back_at

    async def ask(self) -> str:
        """Answer if it is there."""
        self.tries.append(anyio.current_time())
        if anyio.current_time() < self._back_at:
            raise Unreachable("away")
        return "here"


@pytest.mark.parametrize("back_at", [0.0, 0.1, 3600.0])
def test_a_function_that_returns_an_awaitable_is_awaited_at_every_try(back_at: float) -> None:
    """The caller may hand over a lambda: what counts is what the call returns, not how it was defined."""
    server = Server(back_at)

    async def body() -> str:
        return await until_reachable(lambda: server.ask(), on_failure=lambda _error: None)  # noqa: PLW0108 - as said

    assert run_virtual(body, within_secs=back_at + 10.0) == "here"


def test_waits_grow_to_their_bound_and_no_further() -> None:
    """An hour's outage costs no flood of tries, and its end is noticed within the bound."""
    server = Server(3600.0)

    async def body() -> float:
        await until_reachable(server.ask, on_failure=lambda _error: None, initial_secs=0.2, max_secs=5.0)
        return anyio.current_time()

    assert run_virtual(body, within_secs=4000.0) <= 3605.0
    gaps = [later - earlier for earlier, later in pairwise(server.tries)]
    assert gaps[0] == pytest.approx(0.2)
    assert max(gaps) <= 5.0
    assert 3600 / 5 < len(server.tries) < 3600


def test_it_can_be_cancelled_while_it_waits() -> None:
    """A stop need not wait for the server."""

    async def body() -> float:
        with anyio.move_on_after(1.0):
            await until_reachable(Server(3600.0).ask, on_failure=lambda _error: None)
        return anyio.current_time()

    assert run_virtual(body) == 1.0
