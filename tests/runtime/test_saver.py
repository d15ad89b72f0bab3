"""The saver sees that something was settled, whatever else comes and goes.

Stand-ins for routes, since no real one can be made to settle just as many events as another took with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import anyio

from eventbus.model import Position
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.state.store import Lease, Save, Store
from tests.runtime.clock import run_virtual


class _Store:
    """Remembers what was last written."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        for save in saves:
            self.positions.update(save.positions)
        return [True] * len(saves)

    async def release(self, lease: Lease) -> None:
        """Nothing to give back."""


class _Route:
    """A route that settled so many events."""

    def __init__(self, settled_events: int) -> None:
        self.settled_events = settled_events

    def watermark(self) -> Position:
        return Position(f"{self.settled_events:04}")

    def saved(self, position: Position) -> None:
        """See `Route.saved`."""


def test_what_a_route_settles_is_saved_though_as_much_went_with_a_replay() -> None:
    store = _Store()
    saver = Saver(cast(Store, store), lease_secs=15.0, every_secs=1.0)
    live, replay = _Route(10), _Route(20)
    routes = {"live": live, "live@1": replay}

    async def scene() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(saver.run)
            kept = cast(Mapping[str, Route], routes)
            async with saver.keeping(Lease("orders", 1), kept, renewed_at=anyio.current_time()):
                await anyio.sleep(2.0)
                assert store.positions["live"].token == "0010"
                del routes["live@1"]
                live.settled_events += replay.settled_events
                await anyio.sleep(2.0)
                assert store.positions["live"].token == "0030"
            tasks.cancel_scope.cancel()

    run_virtual(scene)
