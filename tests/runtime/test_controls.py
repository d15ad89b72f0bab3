"""What operators want is asked for again and again, whatever the store answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import anyio
import pytest
from structlog.testing import capture_logs

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.runtime.controls import Controls
from eventbus.state.operations import Control
from eventbus.state.store import ControlStore
from tests.runtime.clock import run_virtual


class Board:
    """A store of which only controls are asked: it fails as told, then answers.

    A real store cannot be told when to refuse; what it answers is shown in the contract of stores.
    """

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)

    async def controls(self, subscriptions: Collection[str]) -> Mapping[str, Control]:
        """See `eventbus.state.store.ControlStore`."""
        if self._failures:
            raise self._failures.pop(0)
        return dict.fromkeys(subscriptions, Control())


def obeyed_at(board: Board) -> list[float]:
    """When a subscription was told."""
    moments: list[float] = []

    async def body() -> None:
        controls = Controls(cast(ControlStore, board))
        with (
            anyio.move_on_after(5.5),
            controls.obeyed("orders", lambda _: moments.append(anyio.current_time())),
        ):
            await controls.run()

    run_virtual(body)
    return moments


@pytest.mark.parametrize(
    "error", [ConfigurationError("no rights"), RuntimeError("nobody foresaw it")], ids=str
)
def test_a_store_that_refuses_ends_no_subscription(error: Exception) -> None:
    """All of them share this loop: it goes on, and says once what it met."""
    with capture_logs() as logs:
        assert obeyed_at(Board(error, error, error)) == [4.0, 5.0]
    assert [(line["event"], line["log_level"]) for line in logs] == [("controls_refused", "warning")]
    assert str(error) in logs[0]["reason"]


def test_a_store_that_is_away_is_no_news() -> None:
    """The saver tells of it."""
    with capture_logs() as logs:
        assert obeyed_at(Board(Unreachable("away"))) == [2.0, 3.0, 4.0, 5.0]
    assert [line["log_level"] for line in logs] == ["debug"]
