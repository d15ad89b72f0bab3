"""Routes whose target keeps their position: each event there once, whatever dies and whatever is lost.

The world's account breaks where an event arrives twice on such a route, in any life.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import anyio
import pytest

from eventbus.errors import LeaseLost
from eventbus.runtime.policy import Ordering
from eventbus.sdk import SnapshotMode
from eventbus.state.operations import Operation, OperationKind
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.history import Fate, Pace
from tests.runtime.scenes import changes, delivered, documents, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, RoutePlan, World, WorldPlan


def once(name: str, *troubles: Trouble, max_batch: int = 8, holds_keys: bool = False) -> RoutePlan:
    """A route that is delivered exactly once."""
    plain = route(name, *troubles, max_batch=max_batch, keeps_order=True, ordering=Ordering.STRICT)
    return replace(plain, exactly_once=True, policy=replace(plain.policy, holds_keys=holds_keys))


def tokens(world: World, name: str = "once") -> list[str]:
    """Of what arrived, in order."""
    return [event.token for event in delivered(world, name)]


def _taken_over(found: str) -> float:
    """How often a route of these tests was taken over so, by the metrics."""
    labels = {"subscription": NAME, "route": "once", "found": found}
    return REGISTRY.get_sample_value("eventbus_takeovers_total", labels) or 0.0


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment_it_sends_nothing_twice(seed: int) -> None:
    """Thirty lives, most of them killed; what a dead one had under way may yet take effect."""
    plan = once("once", Trouble("lost", start=1.0, end=6.0, times=1), Trouble("unavailable", 3.0, 4.0))
    world = World([plan, route("other", secs=0.05)], WorldPlan(seed=seed, pace=Pace(batch=20)))
    luck = Random(seed)

    async def scene() -> None:
        await (await running(world)).crash()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load_until_ten, world)
            for _ in range(30):
                life = world.begin()
                with anyio.move_on_after(luck.random() / 2):
                    await life.over.wait()
                await (life.stop() if luck.random() < 0.2 else life.crash())
        life = await running(world)
        await world.all_passed()
        await life.stop()

    async def load_until_ten(world: World) -> None:
        await load(world, until=10.0, per_sec=40)

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_a_slice_of_unknown_fate_is_given_again_and_takes_effect_once() -> None:
    """Whether it took effect then or did not."""
    kinds = ("lost", "raising", "unavailable")
    troubles = [Trouble(kind, 2.0 * turn, 2.0 * turn + 1, times=2) for turn, kind in enumerate(kinds)]
    world = World([once("once", *troubles)])

    async def scene() -> None:
        life = await running(world)
        for moment in (0.0, 2.0, 4.0):
            await anyio.sleep_until(moment)
            changes(world, "abc", 10)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_what_can_never_go_out_is_a_dead_letter_before_the_rest_of_its_slice() -> None:
    """Killed in between, the next life parks nothing again and commits the rest."""
    plan = once("once", Trouble("rejecting", keys=frozenset({"b"})), Trouble("hanging", 0.4, 9.0))
    world = World([plan])
    world.vault.troubles.append(StoreTrouble("away", 0.0, 0.45, frozenset({"park"})))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.until(lambda: world.vault.letters)
        assert tokens(world) == []
        await life.crash()
        life = await running(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert [event.key for event in delivered(world, "once")] == [b"a", b"c"]
    assert len(world.vault.letters) == 1


@pytest.mark.parametrize("fate", [Fate.PARK, Fate.UNENCODABLE, Fate.FILTER, Fate.FORMLESS])
def test_what_has_no_message_needs_no_commit(fate: Fate) -> None:
    """Its position is the state's business: of both, what is further counts."""
    plan = once("once")
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        world.change("a")
        await world.all_passed()
        kept = plan.target.positions["once"]
        world.change("b", fate=fate)
        world.change("c", fate=fate)
        await world.all_passed()
        await anyio.sleep(12.0)
        await life.stop()
        assert plan.target.positions["once"] == kept
        last = world.stored("once")
        before = len(world.source.readers)
        life = await running(world)
        world.change("d")
        await world.all_passed()
        await life.stop()
        assert min(reader.start.token for reader in world.source.readers[before:]) >= last.token

    world.play(scene)
    assert [event.key for event in delivered(world, "once")] == [b"a", b"d"]


def test_a_message_that_fails_by_itself_has_its_tries_and_is_parked() -> None:
    """The rest of its slice goes out with the try after the last."""
    world = World([once("once", Trouble("failing", keys=frozenset({"b"})))])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    (letter,) = world.vault.letters.values()
    assert (letter.event.key, letter.attempts, len(letter.errors)) == (b"b", 3, 3)
    assert [event.key for event in delivered(world, "once")] == [b"a", b"c"]


def test_a_held_key_waits_within_a_slice_and_after_it() -> None:
    world = World([once("once", Trouble("rejecting", end=1.0, keys=frozenset({"b"})), holds_keys=True)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcb")
        await world.all_passed()
        await anyio.sleep_until(2.0)
        changes(world, "bca")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert [event.key for event in delivered(world, "once")] == [b"a", b"c", b"c", b"a"]
    assert sum(letter.held_behind is not None for letter in world.vault.letters.values()) == 2


def test_a_held_key_waits_in_the_slice_that_was_made_ready_meanwhile() -> None:
    """It is ready before the first of its key is refused; by its turn nothing is refused any more."""
    plan = once("once", Trouble("rejecting", keys=frozenset({"b"})), max_batch=2, holds_keys=True)
    plan.target.secs = 1.0
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcb")
        await world.until(lambda: bool(world.vault.letters))
        plan.target.troubles.clear()
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert [event.key for event in delivered(world, "once")] == [b"a", b"c"]


def test_a_target_that_cannot_be_asked_holds_up_nobody_else() -> None:
    """The route is fed from the moment on that it is ours, with all that came meanwhile."""
    world = World([once("once", Trouble("closed", end=30.0)), route("other")])

    async def scene() -> None:
        life = await running(world)
        first = changes(world, "abc")
        await world.until(lambda: len(delivered(world, "other")) == 3)
        assert anyio.current_time() < 5.0
        assert life.subscription.routes["once"].halted_by == "not taken over"
        await anyio.sleep_until(29.0)
        assert tokens(world) == []
        await world.all_passed()
        await life.stop()
        assert tokens(world) == [event.token for event in first]

    world.play(scene)


def test_an_owner_that_was_shut_out_ends_and_has_changed_nothing() -> None:
    """It learns it from the target, whatever the state store tells it, or does not."""
    plan = once("once")
    world = World([plan], WorldPlan(lease_secs=600.0, every_secs=100.0))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.until(lambda: len(tokens(world)) == 3)
        plan.target.epochs["once"] += 10**9
        changes(world, "abc")
        await life.over.wait()
        assert isinstance(life.fault, LeaseLost)
        assert len(tokens(world)) == 3
        plan.target.epochs["once"] = 0
        life = await running(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_where_the_state_was_lost_the_target_says_where_to_go_on() -> None:
    """Nothing comes twice, and nothing that happened meanwhile is left out."""
    world = World([once("once")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 5)
        await world.all_passed()
        await life.crash()
        world.vault.leases.clear()
        world.vault.positions.clear()
        changes(world, "abc", 5)
        world.ledgers["once"].rewound(world.history.idle())
        life = await running(world)
        await world.until(lambda: len(tokens(world)) == 30)
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_where_an_old_state_was_restored_nothing_comes_twice() -> None:
    world = World([once("once")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 5)
        await world.all_passed()
        await life.stop()
        old = world.stored("once")
        life = await running(world)
        changes(world, "abc", 5)
        await world.all_passed()
        await life.stop()
        world.vault.positions[NAME]["once"] = old
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_a_target_that_was_restored_gets_again_what_it_has_lost() -> None:
    """What was parked since stays parked."""
    plan = once("once", Trouble("rejecting", keys=frozenset({"x"})))
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        backup = plan.target.positions["once"]
        changes(world, "axc")
        await world.all_passed()
        await anyio.sleep(2.0)
        await life.stop()
        plan.target.positions["once"] = backup
        ledger = world.ledgers["once"]
        ledger.exactly_once = False
        ledger.stored = None
        life = await running(world)
        await world.until(lambda: len(tokens(world)) == 7)
        assert _taken_over("restored") >= 1
        await life.stop()

    world.play(scene)
    assert tokens(world) == [
        *world.history.tokens[:4],
        *world.history.tokens[5:],
        *world.history.tokens[3::2],
    ]
    assert len(world.vault.letters) == 1


def test_a_target_that_was_emptied_is_not_filled_without_a_word() -> None:
    """Others go on; once resumed, it goes on from where it stood, in this life or in a later one."""
    plan = once("once")
    world = World([plan, route("other")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        await anyio.sleep(2.0)
        await life.stop()
        plan.target.positions.clear()
        for _ in range(2):
            life = await running(world)
            changes(world, "abc")
            await world.until(lambda: not world.ledgers["other"].missing())
            await world.until(lambda: world.vault.paused.get(NAME))
            assert "lost the position" in str(life.subscription.routes["once"].paused)
            await life.crash()
        assert len(tokens(world)) == 3
        assert _taken_over("lost") >= 2
        life = await running(world)
        world.resume("once")
        await world.all_passed()
        await life.crash()
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_what_a_target_keeps_that_is_no_position_stops_its_route_alone() -> None:
    plan = once("once")
    plan.target.positions["once"] = b"{}"
    world = World([plan, route("other")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.until(lambda: len(delivered(world, "other")) == 3)
        await world.until(lambda: life.subscription.routes["once"].paused)
        assert "no position of eventbus" in (life.subscription.routes["once"].not_ours or "")
        del plan.target.positions["once"]
        world.resume("once")
        await world.all_passed()
        await life.stop()

    world.play(scene)


@pytest.mark.parametrize("crashes", [False, True])
def test_where_an_operator_moved_it_is_imposed_on_the_target_once(crashes: bool) -> None:
    """Also where the state's next checkpoint never came: what was committed since is not sent again."""
    plan = once("once")
    world = World([plan], WorldPlan(every_secs=0.2))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        await anyio.sleep(1.0)
        place = world.history.events[4].position
        world.ledgers["once"].exactly_once = False
        world.ledgers["once"].rewound(place)
        world.vault.operations["0001"] = Operation(
            "0001", OperationKind.MOVE, NAME, "once", start=place, requested_by="eve"
        )
        await life.over.wait()
        if crashes:
            life = world.begin()
            await world.until(lambda: len(tokens(world)) > 9)
            world.ledgers["once"].rewound(place)
            await life.crash()
        life = await running(world)
        await world.until(lambda: len(tokens(world)) >= 13)
        await anyio.sleep(3.0)
        await life.stop()

    world.play(scene)
    assert tokens(world) == [*world.history.tokens, *world.history.tokens[5:]]


@pytest.mark.parametrize("seed", range(6))
def test_the_documents_of_a_snapshot_come_once(seed: int) -> None:
    """The position within it is the target's, too."""
    plan = once("once", max_batch=3)
    world = World([plan], WorldPlan(seed=seed, snapshot=SnapshotMode.INITIAL, pace=Pace(batch=4)))
    world.history.documents = {f"d{number:02d}": Fate.DELIVER for number in range(40)}
    luck = Random(seed)

    async def scene() -> None:
        for _ in range(12):
            life = world.begin()
            with anyio.move_on_after(luck.random() / 2):
                await life.over.wait()
            changes(world, "ab")
            await life.crash()
        life = await running(world)
        await world.all_passed()
        await world.until(lambda: life.subscription.routes["once"].snapshot is None)
        await life.stop()

    world.play(scene)
    found = documents(world, "once")
    assert set(found) >= set(world.history.documents)
    assert len(set(found)) == len(found)


def test_a_route_that_was_delivered_otherwise_before_goes_on_from_its_position() -> None:
    """The target keeps none of it yet, or a very old one."""
    plain, plan = route("once", max_batch=8, keeps_order=True), once("once")
    world = World([replace(plain, target=plan.target)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        await life.stop()
        world.routes["once"] = plan
        world.ledgers["once"].exactly_once = True
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        await life.crash()
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens


def test_a_paused_route_commits_nothing() -> None:
    world = World([once("once")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        world.pause("once")
        await world.until(lambda: life.subscription.routes["once"].paused)
        changes(world, "abc")
        await anyio.sleep(20.0)
        assert len(tokens(world)) == 3
        world.resume("once")
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_replay_beside_it_moves_nothing_of_it() -> None:
    """It is sent plainly, at least once."""
    plan = once("once")
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "abc", 3)
        await world.all_passed()
        kept = plan.target.positions["once"]
        name = world.replay("once", world.first_position("once"), events[-1].position)
        await world.until(lambda: world.operation(name).status.is_over)
        assert plan.target.positions["once"] == kept
        assert len(delivered(world, name)) == 9
        await life.stop()

    world.play(scene)
    assert tokens(world) == world.history.tokens
