"""Copies of dead letters: all of them, in order, and nothing waits for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio
import pytest

from eventbus.errors import Unreachable
from eventbus.model import DeadLetter, Event
from eventbus.runtime import forwarding
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.status import status_of
from eventbus.sdk import SinkTraits
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.clock import run_virtual
from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, load, route, running
from tests.runtime.scripted import Scripted
from tests.runtime.target import Target, Trouble
from tests.runtime.vault import LetterFate, StoreTrouble
from tests.runtime.world import NAME, World, WorldPlan

BAD = frozenset("x")


def _world(
    *troubles: Trouble, bad: str = "x", traits: SinkTraits | None = None, rate: float | None = None
) -> World:
    """A route that cannot deliver some keys, and a dead-letter sink with its own troubles."""
    plan = route("only", Trouble("rejecting", keys=frozenset(bad)), window=32)
    dead = Target("dead", traits or SinkTraits(), troubles=list(troubles))
    sinks = {"dead": {"rate_per_sec": rate}}
    return World([replace(plan, copies=dead)], WorldPlan(pace=Pace(batch=20)), sinks=sinks)


def _letters(world: World) -> list[DeadLetter]:
    return [letter for (_, name, _), letter in world.vault.letters.items() if name == "only"]


def _park_unseen(world: World, event: Event) -> None:
    """Somebody else than the daemon parks an event, on a replay of the route."""
    identity = (NAME, "only@1f", event.id)
    world.vault.letters[identity] = DeadLetter(NAME, "only@1f", event, "refused")
    world.vault.fates[identity] = LetterFate()


def _failures() -> float:
    labels = {"subscription": NAME, "route": "only", "kind": "network"}
    return REGISTRY.get_sample_value("eventbus_dead_letter_forwarding_failures_total", labels) or 0.0


def _all_forwarded(world: World) -> bool:
    return all(world.vault.fate((NAME, "only", one.event.id)).forwarded for one in _letters(world))


def test_each_dead_letter_is_copied_once_and_in_order() -> None:
    """Also those of an earlier life."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20, keys="xab")
        await life.crash()
        life = await running(world)
        await load(world, until=6.0, per_sec=20, keys="xab")
        await world.all_passed()
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert list(dict.fromkeys(world.copies)) == [letter.event for letter in _letters(world)]
        assert len(world.copies) < len(_letters(world)) + 32

    world.play(scene)


def test_a_dead_letter_sink_that_is_down_delays_nobody_and_loses_nothing() -> None:
    """A minute of outage: the live route never notices, and the copies come afterwards."""
    world = _world(Trouble("unavailable", end=60.0))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        assert anyio.current_time() < 10.0
        assert world.copies == []
        await world.until(lambda: world.copies)
        assert anyio.current_time() > 60.0
        assert len(world.copy_calls) < 100
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert [event for event in world.copies] == [letter.event for letter in _letters(world)]  # noqa: C416
        assert len(delivered(world, "only")) == len(world.history.events) - len(_letters(world))

    world.play(scene)


def test_a_dead_letter_sink_that_is_not_there_yet_counts_as_failing() -> None:
    """Each try to connect counts, though there is nothing to copy; and it counts no more once it is there."""
    world = _world(Trouble("closed", end=60.0))

    async def scene() -> None:
        before = _failures()
        life = await running(world)
        await anyio.sleep(30.0)
        there_were = _failures() - before
        assert there_were >= 5
        status = status_of(life.subscription.spec, life.subscription, None, {})
        away = "route only: its dead-letter sink: the target cannot be connected to"
        assert (status.is_ready, status.problems, status.tolerated) == (True, [], [away])
        await anyio.sleep(60.0)
        assert not status_of(life.subscription.spec, life.subscription, None, {}).tolerated
        failed = _failures()
        await load(world, until=95.0, per_sec=20, keys="xab")
        await world.until(lambda: _letters(world) and _all_forwarded(world))
        assert _failures() == failed
        await life.stop()

    world.play(scene)


def test_a_dead_letter_sink_that_a_route_waits_for_too_counts_as_failing() -> None:
    """All who wait for a sink are told of each try, whoever makes it; and nobody afterwards."""

    class Away(Scripted):
        async def open(self) -> None:
            """See `eventbus.sdk.Sink`."""
            if anyio.current_time() < 30.0:
                raise Unreachable("nobody listens")

    async def whole() -> None:
        sink = SharedSink(Away())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.open)
            tasks.start_soon(sink.open, first.append)
            tasks.start_soon(sink.open, second.append)
        await sink.open(late.append)

    first, second, late = list[Unreachable](), list[Unreachable](), list[Unreachable]()
    run_virtual(whole)
    assert len(first) >= 5
    assert (first, late) == (second, [])


def test_what_the_dead_letter_sink_refuses_is_given_up_and_stays_a_dead_letter() -> None:
    """It is not tried for ever."""
    world = _world(Trouble("rejecting", keys=BAD))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.until(lambda: _letters(world) and _all_forwarded(world))
        await world.all_passed()
        await life.stop()
        assert world.copies == []

    world.play(scene)


def test_a_dead_letter_sink_that_wants_no_connection_stops_nothing() -> None:
    """The live route goes on, and some minutes later the sink is tried again."""
    world = _world(Trouble("refusing", end=100.0))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        assert life.fault is None
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert world.copies == [letter.event for letter in _letters(world)]

    world.play(scene)


def test_a_letter_that_fails_by_itself_holds_up_no_other() -> None:
    """Not even where the sink takes one at a time; it is given up once others got through."""
    world = _world(Trouble("failing", keys=frozenset("x")), bad="xy")

    async def scene() -> None:
        life = await running(world)
        world.change("x")
        await world.until(lambda: _letters(world))
        await anyio.sleep(60.0)
        assert not _all_forwarded(world)
        for _ in range(4):
            begun = anyio.current_time()
            event = world.change("y")
            await world.until(partial(world.copies.__contains__, event))
            assert anyio.current_time() < begun + 10.0
            await anyio.sleep(10.0)
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert {event.key for event in world.copies} == {b"y"}

    world.play(scene)


def test_a_letter_that_fails_alone_is_tried_until_it_gets_through() -> None:
    """Minutes of errors cost no copy while nobody else can tell."""
    world = _world(Trouble("failing", end=400.0))

    async def scene() -> None:
        life = await running(world)
        world.change("x")
        await world.until(lambda: world.copies)
        assert anyio.current_time() > 400.0
        await life.stop()

    world.play(scene)


def test_dead_letters_of_a_replay_are_copied_too() -> None:
    """Under the name of the replay, to the sink of its route."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20, keys="xab")
        await world.all_passed()
        await world.until(lambda: _all_forwarded(world))
        live = len(world.copies)
        name = world.replay("only", world.first_position("only"), world.history.idle())
        await world.until(lambda: world.operation(name).status.is_over)
        await world.until(lambda: len(world.copies) == 2 * live)
        await world.until(lambda: all(fate.forwarded for fate in world.vault.fates.values()))
        await life.stop()
        assert world.copies[live:] == world.copies[:live]

    world.play(scene)


def test_what_somebody_else_parked_is_found_in_time() -> None:
    """A command that sends dead letters itself tells the daemon nothing."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep(10.0)
        event = world.change("y")
        _park_unseen(world, event)
        await world.until(lambda: world.copies)
        await life.stop()
        assert world.copies == [event]

    world.play(scene)


def test_what_is_decided_already_is_not_copied() -> None:
    """Discarded while the sink was down."""
    world = _world(Trouble("closed", end=60.0))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20, keys="xab")
        await world.all_passed()
        first, *others = _letters(world)
        world.vault.discard(first)
        await world.until(lambda: len(world.copies) == len(others))
        await anyio.sleep(5.0)
        await life.stop()
        assert world.copies == [letter.event for letter in others]

    world.play(scene)


@pytest.mark.parametrize("keeps_order", [True, False])
def test_calls_keep_to_what_the_sink_takes(keeps_order: bool) -> None:
    """Numbers, and keys where it keeps no order; the target looks for itself."""
    world = _world(traits=SinkTraits(max_batch=3, keeps_order=keeps_order, concurrency=1), bad="xyz")

    async def scene() -> None:
        life = await running(world)
        changes(world, "xxyzaxyzz", count=6)
        await world.until(lambda: len(_letters(world)) == 48 and _all_forwarded(world))
        await life.stop()
        assert sorted(event.id for event in world.copies) == sorted(one.event.id for one in _letters(world))

    world.play(scene)


def test_calls_keep_to_the_bytes_that_the_sink_takes() -> None:
    """The bodies of the tests' copies have six."""
    world = _world(traits=SinkTraits(max_batch=10, max_batch_bytes=13, keeps_order=True))

    async def scene() -> None:
        life = await running(world)
        changes(world, "x", count=20)
        await world.until(lambda: len(_letters(world)) == 20 and _all_forwarded(world))
        await life.stop()
        assert max(world.copy_calls) == 2

    world.play(scene)


def test_copies_keep_to_the_rate_of_their_sink() -> None:
    """Which other routes may use as well."""
    world = _world(rate=2.0)

    async def scene() -> None:
        life = await running(world)
        changes(world, "x", count=20)
        await world.until(lambda: len(_letters(world)) == 20)
        begun = anyio.current_time()
        await world.until(lambda: _all_forwarded(world))
        assert anyio.current_time() > begun + 8.0
        await life.stop()

    world.play(scene)


def test_a_store_that_is_away_is_waited_for() -> None:
    """A copy that cannot be noted is not sent again meanwhile."""
    world = _world()
    calls = frozenset({"find_letters", "forwarded_letters"})
    world.vault.troubles.append(StoreTrouble("away", start=2.0, end=60.0, calls=calls))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert world.copies == [letter.event for letter in _letters(world)]

    world.play(scene)


def test_nothing_is_read_while_nothing_is_parked() -> None:
    """However many have been copied: a look through all of them now and then, and no other."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        await world.until(lambda: _all_forwarded(world))
        await anyio.sleep(10.0)
        before = life.store.calls["find_letters"]
        await anyio.sleep(700.0)
        assert life.store.calls["find_letters"] - before in range(1, 4)
        await life.stop()

    world.play(scene)


def test_letters_of_one_token_are_not_lost_between_two_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a route and of its replay."""
    monkeypatch.setattr(forwarding, "_PAGE", 3)
    world = _world(Trouble("closed", end=20.0))

    async def scene() -> None:
        life = await running(world)
        for event in changes(world, "xxxxx"):
            _park_unseen(world, event)
        await world.until(lambda: len(world.copies) == 10)
        assert anyio.current_time() < 100.0
        await life.stop()

    world.play(scene)
