"""The state store away, slow or taken by another daemon: deliveries go on within the lease."""

from __future__ import annotations

import anyio
import pytest

from eventbus.errors import LeaseLost
from tests.runtime.history import Fate
from tests.runtime.scenes import changes, changes_until_over, delivered, route, running, started
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, World, WorldPlan


def test_deliveries_go_on_while_the_store_is_away_for_less_than_the_lease() -> None:
    """And positions are stored soon after it is back."""
    world = World([route("only")])
    world.vault.troubles.append(StoreTrouble("away", start=3.0, end=13.0))

    async def scene() -> None:
        life = await running(world)
        for _ in range(40):
            event = world.change("a")
            await anyio.sleep(0.5)
            assert event in delivered(world, "only")
        assert world.stored("only").token >= world.history.tokens[-4]
        await life.stop()

    world.play(scene)


@pytest.mark.parametrize("kind", ["away", "hanging", "lost_answer"])
def test_a_lease_that_cannot_be_renewed_ends_the_life(kind: str) -> None:
    """A frozen store, a frozen saver: deliveries stop with the lease, at the latest a round after it."""
    world = World([route("only")])
    world.vault.troubles.append(StoreTrouble(kind, start=3.0, end=300.0))

    async def scene() -> None:
        life = await running(world)
        await changes_until_over(world, life, 30.0)
        assert isinstance(life.fault, LeaseLost)
        latest = world.ledgers["only"].arrivals[-1].secs
        assert 15.0 < latest <= 3.0 + world.plan.lease_secs + world.plan.every_secs
        await anyio.sleep_until(300.0)
        life = await running(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_dead_letter_waits_for_the_store_and_its_key_with_it() -> None:
    """It counts as settled only when it is durable; the other lanes go on."""
    world = World([route("only", lanes=8)])
    world.vault.troubles.append(StoreTrouble("away", end=10.0, calls=frozenset({"park"})))

    async def scene() -> None:
        life = await running(world)
        letter = world.change("a", fate=Fate.UNENCODABLE)
        late = world.change("a")
        others = changes(world, "bcdefg")
        await anyio.sleep_until(9.0)
        lane = late.key_hash % 8
        assert {one for one in others if one.key_hash % 8 != lane} <= set(delivered(world, "only"))
        assert late not in delivered(world, "only")
        assert world.stored("only").token < letter.token
        await world.all_passed()
        assert world.ledgers["only"].times(late)[0] >= 10.0
        await life.stop()

    world.play(scene)


def test_when_another_daemon_took_the_lease_nothing_more_is_written_or_sent() -> None:
    """The write that would move the position is refused; the life ends; it stands by until it may go on."""
    world = World([route("only")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        await anyio.sleep(3.0)
        stored = world.stored("only")
        world.vault.usurp(NAME, secs=30.0)
        await changes_until_over(world, life, 30.0)
        assert isinstance(life.fault, LeaseLost)
        assert life.refusals == 1
        assert world.stored("only") == stored
        ended = anyio.current_time()
        assert ended < 3.5 + world.plan.every_secs
        arrived = len(delivered(world, "only"))
        life = world.begin()
        await world.until(lambda: life.subscription.state == "standby")
        await anyio.sleep_until(30.0)
        assert len(delivered(world, "only")) == arrived
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_while_it_waits_for_its_source_it_keeps_its_lease() -> None:
    """Or a second daemon would begin beside it."""
    world = World([route("only")])
    world.source.away = True

    async def scene() -> None:
        first = world.begin(instance="first")
        await world.until(lambda: first.subscription.waiting_for)
        second = world.begin(instance="second")
        await anyio.sleep(100)
        assert second.subscription.state == "standby"
        world.source.away = False
        await world.until(lambda: first.subscription.state == "running")
        changes(world, "abc")
        await world.all_passed()
        await first.stop()
        await world.until(lambda: second.subscription.state == "running")
        changes(world, "abc")
        await world.all_passed()
        await second.stop()
        assert len(delivered(world, "only")) == 6

    world.play(scene)


def test_a_start_that_could_not_be_stored_is_none() -> None:
    """The lease was lost before the first position was written: nothing is read."""
    world = World([route("only")])
    world.source.away = True

    async def scene() -> None:
        life = world.begin()
        await world.until(lambda: life.subscription.waiting_for)
        world.vault.usurp(NAME, secs=600.0)
        world.source.away = False
        await life.over.wait()
        assert isinstance(life.fault, LeaseLost)
        assert not world.source.readers

    world.play(scene)


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    """Its answer came twelve seconds late, and it cannot be renewed: three seconds of it are left."""
    world = World([route("only")])

    async def scene() -> None:
        life = await running(world)
        await life.stop()
        begun = anyio.current_time()
        world.vault.troubles += [
            StoreTrouble("late_answer", end=begun + 12.0, calls=frozenset({"acquire"})),
            StoreTrouble("away", end=begun + 300.0, calls=frozenset({"save"})),
        ]
        life = await running(world)
        assert anyio.current_time() >= begun + 12.0
        await life.over.wait()
        assert isinstance(life.fault, LeaseLost)
        last_save_secs = world.plan.lease_secs / 3
        assert anyio.current_time() <= begun + 15.0 + world.plan.every_secs + last_save_secs

    world.play(scene)


def test_a_lease_that_was_taken_while_the_start_was_waiting_is_not_acted_upon() -> None:
    """The store answers a frozen daemon late: somebody else runs the subscription by then."""
    world = World([route("only")])
    world.vault.troubles.append(
        StoreTrouble("away", start=0.01, end=40.0, calls=frozenset({"positions", "save"}))
    )

    async def scene() -> None:
        life = world.begin(instance="first")
        await world.until(lambda: life.subscription.waiting_for)
        await anyio.sleep(16.0)
        world.vault.usurp(NAME, secs=600.0)
        await life.over.wait()
        assert isinstance(life.fault, LeaseLost)
        assert not world.source.readers

    world.play(scene)


def test_two_daemons_hand_over_without_loss_or_repetition() -> None:
    """One stops, the other begins at once: the lease was given back."""
    world = World([route("only")], WorldPlan(lease_secs=60.0))

    async def scene() -> None:
        life = await running(world, instance="daemon 0", reclaim=False)
        for number in range(1, 5):
            successor = world.begin(instance=f"daemon {number}", reclaim=False)
            changes(world, "abc", 5)
            await life.stop()
            life = successor
            await started(world, life)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "only")) == 60
        assert anyio.current_time() < 60.0

    world.play(scene)
