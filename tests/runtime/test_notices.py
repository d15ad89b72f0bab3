"""What the engine notices of itself: each change of state once, beside its line in the log, and its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import pytest

from eventbus.core.signal import Signal
from eventbus.errors import Unreachable
from eventbus.notices.changes import Changes
from eventbus.runtime.saver import Saver
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.supervisor import Supervisor
from eventbus.telemetry import notices
from eventbus.telemetry.notices import Notice
from tests.runtime.clock import run_virtual
from tests.runtime.history import Pace
from tests.runtime.scenes import changes, load, route, running
from tests.runtime.scripted import Scripted
from tests.runtime.target import Trouble
from tests.runtime.world import NAME, Life, World, WorldPlan


@dataclass(slots=True)
class Heard:
    """A listener who is told everything, and remembers what and of whom."""

    told: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    letters: set[tuple[str, str]] = field(default_factory=set)
    changes: Changes = field(default_factory=lambda: Changes(0.0, lambda _: None))
    news: Signal = field(default_factory=Signal)

    def noticed(self, notice: Notice) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        told = self.changes.noticed(notice, anyio.current_time(), 0.0)
        if told is not None:
            self.told.append(f"{notice.kind} {notice.route or notice.sink}".rstrip())
            self.reasons.append(notice.reason)
            self.news.notify()

    def headroom_seen(self, least_secs: float, notice: Notice) -> None:
        """See `eventbus.telemetry.notices.Listener`."""

    def parked(self, subscription: str, route: str) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        self.letters.add((subscription, route))

    def forgotten(self, subscription: str, route: str) -> None:
        """See `eventbus.telemetry.notices.Listener`."""

    def of(self, name: str) -> Sequence[str]:
        """What was told of a route, in order."""
        return [kind for kind, _, of in (word.partition(" ") for word in self.told) if of == name]

    async def until(self, word: str) -> None:
        """Wait until it was told."""
        while word not in self.told:
            await self.news.wait()


def _played(world: World, scene: Callable[[Heard], Awaitable[None]]) -> Heard:
    heard = Heard()

    async def whole() -> None:
        with notices.heard_by(heard):
            await scene(heard)

    world.play(whole)
    return heard


def test_a_route_that_falls_behind_is_lost_and_comes_back() -> None:
    """Its reader, its circuit and its position; of the others there is nothing to tell."""
    behind = route("behind", Trouble("unavailable", start=1.0, end=60.0), window=16)
    world = World([behind, route("well")], WorldPlan(pace=Pace(batch=20)))

    async def scene(heard: Heard) -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=20)
        world.source.forgotten = world.history.tokens[-5]
        await load(world, until=70.0, per_sec=20)
        world.source.forgotten = ""
        await world.all_passed()
        await heard.until("route_merged behind")
        await heard.until("position_found behind")
        await life.stop()

    heard = _played(world, scene)
    assert sorted(heard.of("behind")) == [
        "circuit_closed",
        "circuit_opened",
        "gap_recorded",
        "position_found",
        "position_lost",
        "route_detached",
        "route_merged",
    ]
    assert heard.of("well") == []
    assert heard.of("") == ["subscription_started"]


def test_a_pause_is_told_again_by_no_later_life_but_its_end_is() -> None:
    """A life that begins anew finds the route paused as it was, or resumed meanwhile."""
    world = World([route("feed")])

    async def scene(heard: Heard) -> None:
        life = await running(world)
        world.pause("feed")
        await heard.until("route_paused feed")
        await life.stop()
        life = await running(world)
        await anyio.sleep(10.0)
        await life.stop()
        world.resume("feed")
        life = await running(world)
        await heard.until("route_resumed feed")
        await life.stop()

    heard = _played(world, scene)
    told = [one for one in heard.of("feed") if one.endswith(("paused", "resumed"))]
    assert told == ["route_paused", "route_resumed"]


def test_a_circuit_that_an_earlier_life_told_of_is_closed_by_the_first_answer() -> None:
    """The life that finds the sink well never had it open."""
    world = World([route("feed", Trouble("unavailable", start=0.0, end=30.0))])

    async def scene(heard: Heard) -> None:
        life = await running(world)
        changes(world, "abc")
        await heard.until("circuit_opened feed")
        await life.crash()
        await anyio.sleep_until(31.0)
        life = await running(world)
        await heard.until("circuit_closed feed")
        await life.stop()

    assert _played(world, scene).of("feed")[-1] == "circuit_closed"


@pytest.mark.parametrize("stands_by", [True, False])
def test_a_lease_that_is_lost_and_taken_over_or_back(*, stands_by: bool) -> None:
    """A second loss is told, too: the first one ended."""
    world = World([route("feed")])

    async def scene(heard: Heard) -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["feed"])
        supervisor = Supervisor([life.subscription.spec], life.store, Saver(life.store), lease_secs=15.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            await heard.until("subscription_started")
            for number in (1, 2):
                world.vault.usurp(NAME, secs=60.0 if stands_by else 0.0)
                while heard.told.count("lease_lost") < number:
                    await heard.news.wait()
                await anyio.sleep(100.0)
            supervisor.stop()

    expected = ["subscription_started", *["lease_lost", "lease_taken_over"] * 2, "subscription_stopped"]
    assert _played(world, scene).of("") == expected


def test_a_crash_loop_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what it is, and nothing of what a foreign error says."""
    world = World([route("feed")])

    async def scene(heard: Heard) -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["feed"])
        positions = life.store.positions

        async def failing(subscription: str) -> object:
            if anyio.current_time() < 60.0:
                raise ValueError("a secret")
            return await positions(subscription)

        monkeypatch.setattr(life.store, "positions", failing)
        supervisor = Supervisor([life.subscription.spec], life.store, Saver(life.store), lease_secs=15.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            await heard.until("subscription_started")
            supervisor.stop()

    heard = _played(world, scene)
    assert heard.of("") == ["subscription_crashed", "subscription_started", "subscription_stopped"]
    assert heard.reasons == ["ValueError, see the log", "", ""]


def test_a_sink_that_is_not_there() -> None:
    """Once for each reason, and when it is open."""

    class Away(Scripted):
        async def open(self) -> None:
            """See `eventbus.sdk.Sink`."""
            if anyio.current_time() < 100.0:
                raise Unreachable("nobody listens")

    async def whole() -> None:
        with notices.heard_by(heard):
            await SharedSink(Away()).open()

    heard = Heard()
    run_virtual(whole)
    assert heard.told == ["sink_waiting scripted", "sink_opened scripted"]
