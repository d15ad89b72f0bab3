"""A lease that cannot be renewed runs out: the subscription ends before another daemon may have begun."""

from __future__ import annotations

import anyio

from eventbus.errors import LeaseLost
from eventbus.sdk import SinkTraits
from tests.runtime.target import Target
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import RoutePlan, World, WorldPlan


def test_a_store_that_stays_away_ends_the_life_when_its_lease_ends() -> None:
    """Deliveries go on for as long as the lease holds, and not a round longer."""
    world = World([RoutePlan("only", Target("sink", SinkTraits()))], WorldPlan(lease_secs=15.0))
    world.vault.troubles.append(StoreTrouble("away", start=3.0, end=120.0))

    async def scene() -> None:
        life = world.begin()
        for _ in range(40):
            world.change("k0")
            await anyio.sleep(0.5)
        with anyio.fail_after(10.0):
            await life.over.wait()
        assert isinstance(life.fault, LeaseLost)
        last = max(arrival.secs for arrival in world.ledgers["only"].arrivals)
        assert 12.0 < last <= 3.0 + 15.0 + 1.0

    world.play(scene)
