"""A sink that is down costs no event anything, and is noticed as soon as it is back."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from eventbus.runtime.policy import RoutePolicy
from eventbus.sdk import SinkTraits
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.scenes import changes, delivered, route, running
from tests.runtime.target import Target, Trouble
from tests.runtime.world import RoutePlan, World


@pytest.mark.parametrize("kind", ["unavailable", "busy", "unauthorised", "failing", "raising", "lost"])
@pytest.mark.parametrize("max_batch", [1, 10])
def test_an_outage_of_ten_minutes_makes_no_dead_letter(kind: str, max_batch: int) -> None:
    """However the sink fails, as long as it fails for all; and it is found again within the longest wait."""
    trouble = Trouble(kind, start=1.0, end=601.0)
    world = World([route("only", trouble, max_batch=max_batch, attempts=2, max_open_secs=5.0)])

    async def scene() -> None:
        life = await running(world)
        for _ in range(30):
            changes(world, "abcab")
            await anyio.sleep(0.1)
        await anyio.sleep_until(600.0)
        assert life.subscription.routes["only"].circuit_reason == kind.replace(
            "raising", "the sink raised RuntimeError"
        )
        await world.all_passed()
        assert anyio.current_time() < 610.0
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


def test_probes_of_a_sink_that_is_down_are_few() -> None:
    """The waits between them double up to the longest one, however many lanes wait."""
    world = World([route("only", Trouble("unavailable", end=600.0), lanes=8, max_open_secs=60.0)])

    async def scene() -> None:
        await running(world)
        changes(world, "abcdefgh", 4)
        await anyio.sleep_until(599.0)
        strikes = sum(world.routes["only"].target.strikes.values())
        assert 5 <= strikes <= 8 + 8 + 600 / 60
        await world.all_passed()

    world.play(scene)


def test_a_refusal_of_our_rights_opens_the_circuit_at_once() -> None:
    """Nobody knocks twice at a door that is shut."""
    world = World([route("only", Trouble("unauthorised", end=0.5), lanes=1, failures=100)])

    async def scene() -> None:
        await running(world)
        changes(world, "ab")
        await world.until(lambda: world.routes["only"].target.strikes)
        await world.all_passed()
        assert sum(world.routes["only"].target.strikes.values()) == 1
        assert anyio.current_time() >= 0.5

    world.play(scene)


def test_a_late_success_lets_those_who_wait_for_a_probe_go_on() -> None:
    """A slow call that was sent before the circuit opened closes it: nobody sleeps out the old wait."""
    target = Target(
        "only",
        SinkTraits(lanes=64),
        [Trouble("slow", end=0.2, secs=3.0), Trouble("busy", keys=frozenset("y"), times=1, secs=60.0)],
        secs=0.0,
    )
    world = World([RoutePlan("only", target, RoutePolicy())])

    async def scene() -> None:
        life = await running(world)
        changes(world, "a")
        await anyio.sleep(1.0)
        changes(world, "y")
        await anyio.sleep(0.5)
        assert life.subscription.routes["only"].circuit_reason == "busy"
        changes(world, "bcdefgh")
        await world.until(lambda: len(delivered(world, "only")) == 8)
        assert anyio.current_time() < 5.0
        await world.all_passed()
        assert anyio.current_time() >= 60.0

    world.play(scene)


def test_a_sink_that_cannot_be_opened_is_waited_for() -> None:
    """Its route holds a window of events meanwhile; the other route goes on; nothing is lost."""
    world = World([route("closed", Trouble("closed", end=120.0)), route("healthy")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 10)
        await world.until(lambda: len(delivered(world, "healthy")) == 30)
        assert anyio.current_time() < 5.0
        assert life.subscription.routes["closed"].sink.waiting_for == "the target cannot be connected to"
        shown = partial(REGISTRY.get_sample_value, "eventbus_circuit_state")
        names = {"subscription": life.subscription.spec.name}
        assert (shown({**names, "route": "closed"}), shown({**names, "route": "healthy"})) == (2.0, 0.0)
        await world.all_passed()
        assert shown({**names, "route": "closed"}) == 0.0
        assert 120.0 <= anyio.current_time() < 130.0
        await life.stop()

    world.play(scene)


def test_routes_that_share_a_sink_keep_within_its_concurrency() -> None:
    """The bound is the target's, over all routes; both get everything."""
    target = Target("shared", SinkTraits(lanes=4, concurrency=2), secs=0.05)
    world = World([RoutePlan("one", target), RoutePlan("other", target)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcdef", 10)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "one")) == len(delivered(world, "other")) == 60

    world.play(scene)
