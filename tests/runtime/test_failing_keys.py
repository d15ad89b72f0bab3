"""A failing key delays only itself, keeps its order, and ends as a dead letter with its reasons."""

from __future__ import annotations

import anyio
import pytest

from eventbus.model import Failure
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.history import Fate
from tests.runtime.scenes import changes, delivered, open_events, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World

BAD = frozenset("x")


def test_others_of_its_lane_go_on_while_it_is_tried_again() -> None:
    """One lane, one event in a call: nothing but the failing key waits."""
    world = World([route("only", Trouble("failing", keys=BAD, times=4), lanes=1, attempts=100)])

    async def scene() -> None:
        life = await running(world)
        bad, *_ = changes(world, "xabx")
        for _ in range(40):
            event = world.change("a")
            await anyio.sleep(0.1)
            assert event in delivered(world, "only")
            if bad in delivered(world, "only"):
                break
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


def test_what_comes_later_for_a_failing_key_waits_behind_it() -> None:
    """The sink asked for five seconds; it would take the next event of the key long before."""
    world = World([route("only", Trouble("throttled", keys=BAD, times=1, end=1.0, secs=5.0))])

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "xa")
        await anyio.sleep_until(2.0)
        events += changes(world, "xaxa")
        await world.all_passed()
        await life.stop()
        times = [world.ledgers["only"].times(event)[0] for event in events]
        assert all(time >= 5.0 for time in times[::2])
        assert all(time < 3.0 for time in times[1::2])

    world.play(scene)


def test_a_failing_event_pays_nothing_for_an_outage_that_follows() -> None:
    """It failed once by itself; then the sink is not there for its key, while others get through."""
    failing = Trouble("failing", keys=BAD, times=1)
    outage = Trouble("unavailable", keys=BAD, end=60.0)
    world = World([route("only", failing, outage, attempts=2, lanes=4, secs=1.0)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "x")
        for _ in range(100):
            changes(world, "abcde")
            await anyio.sleep(0.5)
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


def test_a_poison_key_ends_as_dead_letters_in_order_while_others_flow() -> None:
    """Each of its events pays its own budget; the reasons are kept."""
    world = World([route("only", Trouble("failing", keys=BAD), attempts=3)])

    async def scene() -> None:
        life = await running(world)
        bad = changes(world, "xxx")
        while any(event.id not in world.ledgers["only"].letters for event in bad):
            changes(world, "ab")
            await anyio.sleep(0.05)
        await world.all_passed()
        await life.stop()
        letters = [world.ledgers["only"].letters[event.id] for event in bad]
        assert [letter.event for letter in letters] == bad
        assert {(letter.reason, letter.attempts, letter.kind) for letter in letters} == {
            ("failing", 3, Failure.SERVER)
        }
        said = ["failing: said so"] * 3  # what the target said is in the dead letter, and in no reason
        assert all([error.reason for error in letter.errors] == said for letter in letters)
        assert all(letter.body == b"only" for letter in letters)

    world.play(scene)


def test_an_event_may_grow_too_old_to_be_tried_again() -> None:
    """At its first failure after that it is parked, however many tries it has left."""
    failing = Trouble("failing", keys=BAD)
    world = World([route("only", failing, attempts=1000, max_age_secs=20.0, window=1000)])

    async def scene() -> None:
        life = await running(world)
        bad = world.change("x")
        while bad.id not in world.ledgers["only"].letters:
            changes(world, "a")
            await anyio.sleep(0.1)
        assert 20.0 <= anyio.current_time() < 23.0
        assert len(world.ledgers["only"].letters[bad.id].errors) == 10
        await life.stop()

    world.play(scene)


def test_an_event_does_not_grow_older_while_the_sink_is_away_for_it() -> None:
    """Others get through meanwhile, so that the circuit stays closed."""
    away = Trouble("unavailable", start=5.0, end=65.0, keys=BAD)
    failing = Trouble("failing", keys=BAD, end=75.0)
    world = World([route("only", away, failing, attempts=1000, max_age_secs=30.0, lanes=4, window=5000)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "x")
        while anyio.current_time() < 75.0:
            changes(world, "ab")
            await anyio.sleep(0.1)
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


def test_an_event_does_not_grow_older_in_an_outage_that_only_others_meet() -> None:
    """It waits as the sink asked it to; meanwhile the sink is down, and up again."""
    away = Trouble("unavailable", start=5.0, end=45.0)
    throttled = Trouble("throttled", keys=BAD, end=60.0, secs=50.0)
    world = World([route("only", away, throttled, attempts=1000, max_age_secs=45.0, lanes=4, window=5000)])

    async def scene() -> None:
        life = await running(world)
        x = changes(world, "x")
        for _ in range(400):
            changes(world, "abc")
            await anyio.sleep(0.25)
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["only"].letters
        assert sum(world.routes["only"].target.strikes[throttled, "only", event.id] for event in x) == 2

    world.play(scene)


def test_what_the_sink_will_never_take_is_parked_at_once() -> None:
    """No second attempt, and the key's next event follows."""
    world = World([route("only", Trouble("rejecting", keys=BAD, end=5.0), max_batch=10)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "axbx")
        await world.all_passed()
        assert anyio.current_time() < 1.0
        await anyio.sleep_until(5.0)
        changes(world, "x")
        await world.all_passed()
        await life.stop()
        letters = world.ledgers["only"].letters.values()
        assert [(letter.reason, letter.attempts) for letter in letters] == [("never", 1)] * 2
        assert len(delivered(world, "only")) == 3

    world.play(scene)


def test_what_cannot_be_encoded_or_was_parked_on_the_way_costs_no_attempt() -> None:
    """Each becomes a dead letter with its own reason; its neighbours are delivered."""
    world = World([route("only", max_batch=10)])

    async def scene() -> None:
        life = await running(world)
        world.change("a")
        world.change("a", fate=Fate.UNENCODABLE)
        world.change("b", fate=Fate.PARK)
        world.change("b")
        await world.all_passed()
        await life.stop()
        reasons = {letter.reason for letter in world.ledgers["only"].letters.values()}
        assert reasons == {"not encodable: destined to be unencodable", "destined to be parked"}
        assert len(delivered(world, "only")) == 2

    world.play(scene)


@pytest.mark.parametrize("kind", ["failing", "lying", "unavailable", "lost", "raising", "miscounting"])
@pytest.mark.parametrize("keeps_order", [True, False])
def test_a_key_that_fails_in_the_middle_of_a_batch_keeps_its_order(kind: str, keeps_order: bool) -> None:
    """Whatever the sink does with it, its later events come later; and it all ends delivered."""
    trouble = Trouble(kind, end=2.0, keys=frozenset() if kind in {"raising", "miscounting"} else BAD)
    plan = route("only", trouble, lanes=1, max_batch=20, keeps_order=keeps_order, attempts=1000)
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "axbx", 8)
        await anyio.sleep(1)
        events += changes(world, "xa", 4)
        await world.all_passed()
        await life.stop()
        first = list(dict.fromkeys(delivered(world, "only")))
        for key in (b"a", b"b", b"x"):
            assert [one for one in first if one.key == key] == [one for one in events if one.key == key]

    world.play(scene)


def test_what_the_encoding_has_no_form_for_is_left_out_like_what_a_stage_filtered() -> None:
    """No attempt, no dead letter; it is counted, and what comes before and after it is delivered in order."""
    world = World([route("left_out", Trouble("failing", end=1.0, keys=BAD), max_batch=10, attempts=1000)])

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "ax")
        world.change("a", fate=Fate.FORMLESS)
        world.change("x", fate=Fate.FORMLESS)
        events += changes(world, "ax")
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["left_out"].letters
        assert {one.id for one in delivered(world, "left_out")} == {one.id for one in events}
        assert counted("events_settled", route="left_out", outcome="filtered") == 2.0
        stored = world.ledgers["left_out"].stored
        assert stored is not None
        assert stored.token >= world.history.tokens[-1]

    world.play(scene)


def test_what_kind_of_failure_it_was_is_kept_and_counted() -> None:
    """By the sink, by the encoder, by a stage; and a bug of a sink is called one."""
    troubles = [Trouble("rejecting", keys=BAD), Trouble("raising", start=5.0, end=6.0)]
    world = World([route("counted", *troubles)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "xa")
        world.change("a", fate=Fate.UNENCODABLE)
        world.change("b", fate=Fate.PARK)
        await anyio.sleep_until(5.5)
        changes(world, "a")
        await world.all_passed()
        await life.stop()
        kinds = [letter.kind for letter in world.ledgers["counted"].letters.values()]
        assert sorted(kinds) == [Failure.ENCODING, Failure.REJECTED, Failure.STAGE]
        for kind in Failure:
            assert counted("dead_letters", kind=kind.value) == kinds.count(kind)
        assert counted("attempts_failed", kind="bug", fault="failed") >= 1.0
        assert counted("attempts_failed", kind="server", fault="failed") == 0.0

    world.play(scene)


def counted(name: str, route: str = "counted", **labels: str) -> float:
    """What a counter of a route shows."""
    labels |= {"subscription": "orders", "route": route}
    return REGISTRY.get_sample_value(f"eventbus_{name}_total", labels) or 0.0


def test_a_failure_with_a_request_to_wait_is_not_tried_sooner() -> None:
    """Neither by the key that was set aside, nor where others of the batch were delivered."""
    for kind in ("throttled", "busy"):
        world = World([route("only", Trouble(kind, keys=BAD, times=1, secs=7.0), lanes=1, max_batch=10)])

        async def scene(world: World = world) -> None:
            life = await running(world)
            events = changes(world, "axb")
            await world.all_passed()
            await life.stop()
            first, late = (world.ledgers["only"].times(events[place])[0] for place in (0, 1))
            assert late - first >= 7.0

        world.play(scene)


def test_an_event_that_fails_alone_proves_nothing_about_itself() -> None:
    """With nobody else to compare, the sink may be down: it waits, and pays only when others get through."""
    world = World([route("only", Trouble("failing", keys=BAD))])

    async def scene() -> None:
        life = await running(world)
        bad = world.change("x")
        await anyio.sleep(300)
        assert not world.ledgers["only"].letters
        assert life.subscription.routes["only"].circuit_reason == "failing"
        while bad.id not in world.ledgers["only"].letters:
            changes(world, "a")
            await anyio.sleep(0.5)
        await world.all_passed()

    world.play(scene)


def test_a_window_full_of_one_failing_key_waits_for_the_sink() -> None:
    """A limit of the rule above: nothing else has room to show that the sink is well. Nothing is lost."""
    world = World([route("only", Trouble("failing", keys=BAD, end=600.0), window=8)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "x" * 20 + "a")
        await anyio.sleep(500)
        assert open_events(life, "only") == 8
        assert not world.ledgers["only"].letters
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_failing_key_that_fills_the_window_does_not_stop_the_route() -> None:
    """Nobody is left who could tell a bad event from an outage; but a window of others has told it before."""
    world = World([route("only", Trouble("failing", keys=BAD), window=16, attempts=3)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "xxx")
        changes(world, "abcde", 40)
        await world.all_passed()
        await life.stop()
        assert len(world.ledgers["only"].letters) == 3

    world.play(scene, within_secs=300.0)


def test_a_failing_key_before_a_barrier_does_not_stop_the_route() -> None:
    """The barrier waits for an empty window, and everything behind it waits for the barrier."""
    world = World([route("only", Trouble("failing", keys=BAD), window=16, attempts=3)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "xabcd-efg")
        await world.all_passed()
        await life.stop()

    world.play(scene, within_secs=300.0)
