"""The source no longer has what a route needs next: that route stops and says so, and no other."""

from __future__ import annotations

import anyio

from tests.runtime.history import Pace
from tests.runtime.scenes import delivered, lateness, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World, WorldPlan


def test_a_catch_up_reader_that_is_lost_stops_its_route_alone() -> None:
    """The oplog has rolled over under a route that was down for long; the others never notice."""
    world = World(
        [route("behind", Trouble("hanging", start=1.0, end=30.0), window=16), route("well")],
        WorldPlan(pace=Pace(batch=20)),
    )

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=20)
        world.source.forgotten = world.history.tokens[-5]
        await load(world, until=40.0, per_sec=20)
        behind = life.subscription.routes["behind"]
        assert behind.lost is not None
        stored = world.stored("behind").token
        assert stored < world.source.forgotten
        await anyio.sleep(200)
        assert world.stored("behind").token == stored
        assert len(delivered(world, "well")) == len(world.history.events)
        await life.stop()

    world.play(scene)
    assert lateness(world, "well") < 1.0


def test_a_lost_route_comes_back_when_the_source_has_its_position_again() -> None:
    """For instance because a server with a longer history took over."""
    world = World(
        [route("behind", Trouble("hanging", start=1.0, end=30.0), window=16), route("well")],
        WorldPlan(pace=Pace(batch=20)),
    )

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=20)
        world.source.forgotten = world.history.tokens[-5]
        await anyio.sleep_until(50.0)
        behind = life.subscription.routes["behind"]
        assert behind.halted_by == "position lost"
        world.source.forgotten = ""
        await world.all_passed()
        assert not behind.is_halted
        await life.stop()

    world.play(scene)
