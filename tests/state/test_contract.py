"""What every state store promises, tried on each of them."""

from __future__ import annotations

import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import anyio
import bson
import pytest

from eventbus.model import ClusterTime, DeadLetter, Position, PositionKind
from eventbus.state.store import Lease, Save, Store
from tests.state.conftest import Home
from tests.state.letters import collected, event, failures, letter, odd_events, parked_again, parts

pytestmark = [pytest.mark.anyio, pytest.mark.services]

LONG = 600.0
ODD = odd_events()


async def acquired(store: Store, subscription: str = "s", *, lease_secs: float = LONG) -> Lease:
    """The lease, as soon as it can be had."""
    with anyio.fail_after(60):
        while True:
            lease = await store.acquire(subscription, lease_secs=lease_secs, reclaim=False)
            if lease is not None:
                return lease


def at(token: str) -> Position:
    return Position(token, PositionKind.EVENT, ClusterTime(5, 1))


# Leases


async def test_a_lease_is_held_until_its_end_and_then_anybody_takes_it(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=LONG)
    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None

    short = await acquired(second, "short", lease_secs=0.5)
    third = await home.start("c")
    taken = await acquired(third, "short")
    assert (lease.epoch, short.epoch, taken.epoch) == (1, 1, 2)


async def test_a_short_lease_is_not_taken_before_its_time(home: Home) -> None:
    first = await home.start("a")
    begun = anyio.current_time()
    await acquired(first, lease_secs=0.5)
    second = await home.start("b")
    await acquired(second)
    assert anyio.current_time() - begun >= 0.4  # the store's clock need not run as ours does


async def test_of_those_who_try_at_once_exactly_one_wins(home: Home) -> None:
    rivals = await home.rivals()
    for round_number in range(20):
        won: list[Lease | None] = []

        async def compete(rival: Store, name: str, won: list[Lease | None]) -> None:
            won.append(await rival.acquire(name, lease_secs=LONG, reclaim=False))

        async with anyio.create_task_group() as group:
            for rival in rivals:
                group.start_soon(compete, rival, f"s{round_number}", won)
        assert len(won) == len(rivals)
        assert [lease.epoch for lease in won if lease is not None] == [1]


async def test_the_epoch_grows_by_one_with_every_takeover(home: Home) -> None:
    epochs = []
    for name in "abcab":
        store = await home.start(name)
        epochs.append((await acquired(store, lease_secs=0.001)).epoch)
    assert epochs == [1, 2, 3, 4, 5]


async def test_a_lease_that_ran_out_is_renewed_if_nobody_took_it(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lease, {"r": at("1")})], lease_secs=LONG) == [True]

    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None
    assert await second.positions("s") == {"r": at("1")}


async def test_a_save_renews_the_lease_even_without_positions(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lease, {})], lease_secs=LONG) == [True]
    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None


async def test_a_released_lease_is_free_at_once_and_its_epoch_still_grows(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first)
    await first.release(lease)
    assert await first.save([Save(lease, {"r": at("1")})], lease_secs=LONG) == [False]
    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) == Lease("s", 2)
    assert await second.positions("s") == {}


async def test_releasing_a_lost_lease_takes_nothing_from_its_new_holder(home: Home) -> None:
    first = await home.start("a")
    lost = await acquired(first, lease_secs=0.001)
    second = await home.start("a")  # even one of the same name
    await acquired(second)
    await second.release(lost)
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None


async def test_a_restarted_daemon_reclaims_its_own_lease_and_nobody_elses(home: Home) -> None:
    before = await home.start("a")
    lost = await acquired(before)
    other = await home.start("b")
    assert await other.acquire("s", lease_secs=LONG, reclaim=True) is None

    restarted = await home.start("a")
    assert await restarted.acquire("s", lease_secs=LONG, reclaim=False) is None
    assert await restarted.acquire("s", lease_secs=LONG, reclaim=True) == Lease("s", 2)
    assert await restarted.save([Save(lost, {"r": at("9")})], lease_secs=LONG) == [False]
    assert await restarted.positions("s") == {}


# Positions


async def test_a_save_after_a_takeover_writes_nothing(home: Home) -> None:
    first = await home.start("a")
    lost = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lost, {"r": at("1")})], lease_secs=0.001) == [True]
    second = await home.start("b")
    lease = await acquired(second)
    assert await second.save([Save(Lease("s", lost.epoch), {"r": at("2")})], lease_secs=LONG) == [False]
    assert await second.positions("s") == {"r": at("1")}
    assert await second.save([Save(lease, {"r": at("3")})], lease_secs=LONG) == [True]


async def test_one_save_of_several_tells_which_lease_is_lost(store: Store) -> None:
    kept, lost, also_kept = [await acquired(store, name) for name in ("kept", "lost", "also")]
    await store.release(lost)
    await acquired(store, "lost")
    saves = [Save(lease, {"r": at("1")}) for lease in (kept, lost, also_kept, Lease("never seen", 1))]
    assert await store.save(saves, lease_secs=LONG) == [True, False, True, False]
    assert await store.positions("lost") == {}
    assert await store.positions("also") == {"r": at("1")}
    assert await store.positions("never seen") == {}


async def test_a_save_of_nothing_is_no_write(store: Store) -> None:
    assert list(await store.save([], lease_secs=LONG)) == []


async def test_positions_come_back_as_they_were(home: Home) -> None:
    store = await home.start("a")
    lease = await acquired(store)
    positions = {
        "hook": Position("8263", PositionKind.EVENT, ClusterTime(4_294_967_295, 4_294_967_295)),
        "idle": Position("8264", PositionKind.IDLE, None),
        "gone": Position("8265", PositionKind.INVALIDATE, ClusterTime(0, 0), extra=b"\0\xff"),
        "replay@7.x": Position("", PositionKind.EVENT, ClusterTime(1, 2)),
        "$odd.name": Position("zz", PositionKind.EVENT),
    }
    assert await store.save([Save(lease, positions)], lease_secs=LONG) == [True]
    assert await (await home.start("b")).positions("s") == positions


async def test_a_save_moves_the_routes_it_names_and_no_other(store: Store) -> None:
    lease = await acquired(store)
    first = {"a": Position("1", PositionKind.EVENT, ClusterTime(1, 1), extra=b"of 1"), "a.b": at("1")}
    await store.save([Save(lease, first)], lease_secs=LONG)
    await store.save([Save(lease, {"a": Position("2", PositionKind.IDLE)})], lease_secs=LONG)
    assert await store.positions("s") == {"a": Position("2", PositionKind.IDLE), "a.b": at("1")}


async def test_positions_of_many_routes_fit_into_one_save(store: Store) -> None:
    lease = await acquired(store)
    many = {f"route-{number}": at(str(number)) for number in range(300)}
    assert await store.save([Save(lease, many)], lease_secs=LONG) == [True]
    assert await store.positions("s") == many


async def test_a_subscription_never_seen_has_no_positions(store: Store) -> None:
    assert await store.positions("unknown") == {}


async def test_opening_again_keeps_everything(home: Home) -> None:
    store = await home.start("a")
    await store.open()
    lease = await acquired(store)
    await store.save([Save(lease, {"r": at("1")})], lease_secs=LONG)
    await store.close()
    await store.open()
    assert await store.save([Save(lease, {"q": at("2")})], lease_secs=LONG) == [True]
    assert await store.positions("s") == {"r": at("1"), "q": at("2")}


# Dead letters


async def test_parking_again_changes_nothing(home: Home) -> None:
    store = await home.start("a")
    await store.park([letter(1, reason="first", attempts=1, errors=failures("e1")), letter(2), letter(1)])
    before = await collected(store.dead_letters())
    changed = letter(1, event=event(1, document=None), reason="second", attempts=9, errors=failures("e2"))
    await store.park([changed, letter(1, reason="third")])

    after = await collected((await home.start("b")).dead_letters())
    assert [one.letter.reason for one in after] == ["first", "the sink said no"]
    assert [(one.created_at, one.status, one.letter.attempts, one.letter.errors) for one in after] == [
        (one.created_at, "parked", one.letter.attempts, one.letter.errors) for one in before
    ]
    assert parts(after[0].letter.event) == parts(event(1))


async def test_a_dead_letter_is_one_per_subscription_route_and_event(store: Store) -> None:
    places = [("s", "r"), ("s", "q"), ("t", "r"), ("s/r", ""), ("", "s/r")]
    await store.park([letter(1, subscription=name, route=route) for name, route in places])
    found = await collected(store.dead_letters())
    assert sorted((one.letter.subscription, one.letter.route) for one in found) == sorted(places)


def test_no_field_of_an_event_is_left_untried() -> None:
    bare = parts(ODD["bare"])
    tried = {name for odd in ODD.values() for name, value in parts(odd).items() if value != bare[name]}
    assert tried == set(bare)


@pytest.mark.parametrize("odd", ODD)
async def test_an_event_comes_back_field_by_field(home: Home, odd: str) -> None:
    store = await home.start("a")
    parked = DeadLetter(
        "s", "r", ODD[odd], "why", attempts=3, body=b"\0body\xff", errors=failures("one", "two")
    )
    await store.park([parked])
    (stored,) = await collected((await home.start("b")).dead_letters())
    rebuilt = stored.letter
    assert parts(rebuilt.event) == parts(ODD[odd])
    assert stored.key == ODD[odd].key
    assert (rebuilt.subscription, rebuilt.route, rebuilt.reason) == ("s", "r", "why")
    assert (rebuilt.attempts, rebuilt.body, rebuilt.errors) == (3, b"\0body\xff", failures("one", "two"))


async def test_an_event_of_20_mb_comes_back_whole(home: Home) -> None:
    document = bson.encode({"blob": random.Random(1).randbytes(20_000_000)})
    rebuilt = await parked_again(
        await home.start("a"), letter(1, event=event(1, document=document), body=document[::-1])
    )
    assert rebuilt.event.document == document
    assert rebuilt.body == document[::-1]


async def test_an_event_whose_key_cannot_be_read_is_parked_too(store: Store) -> None:
    unreadable = event(1, document_key={"_id": "\ud800"})
    rebuilt = await parked_again(store, letter(1, event=unreadable))
    assert rebuilt.event.document_key == {"_id": "\ud800"}
    (stored,) = await collected(store.dead_letters())
    assert stored.key == b"unreadable:" + unreadable.id.encode()


async def test_an_event_without_a_body_has_none_afterwards(store: Store) -> None:
    assert (await parked_again(store, letter(1))).body is None
    await store.park([letter(2, body=b"")])
    assert [one.letter.body for one in await collected(store.dead_letters())] == [None, b""]


async def test_reasons_and_errors_are_bounded_and_of_any_text(store: Store) -> None:
    wild = "\ud800\0" + "ä" * 5000
    rebuilt = await parked_again(
        store, letter(1, reason=wild, errors=failures(*(f"{n}{wild}" for n in range(25))))
    )
    assert rebuilt.reason.startswith(r"\ud800\x00ää")
    assert 2000 < len(rebuilt.reason.encode()) <= 2048
    assert [error.reason[:2] for error in rebuilt.errors] == [str(number) for number in range(15, 25)]
    assert all(1000 < len(error.reason.encode()) <= 1024 for error in rebuilt.errors)


async def test_a_stage_can_put_nothing_into_an_event_that_stops_the_parking(store: Store) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    endless: list[object] = []
    endless.append(endless)
    attributes = {"set": {1}, "hostile": Hostile(), "endless": endless, "plain": "\ud800"}
    rebuilt = await parked_again(store, letter(1, event=event(1, attributes=attributes)))
    assert rebuilt.event.attributes is not None
    assert rebuilt.event.attributes["set"] == "{1}"
    assert rebuilt.event.attributes["hostile"] == "<Hostile>"
    assert rebuilt.event.attributes["plain"] == "\ud800"


async def test_parked_after_compares_tokens(store: Store) -> None:
    tokens = ["82", "8200", "820A", "82A", "83"]
    letters = {token: letter(1, event=event(1, token=token)) for token in tokens}
    await store.park([*letters.values(), letter(1, route="other", event=event(1, token="84"))])
    for index, token in enumerate(tokens):
        beyond = {letters[later].event.id for later in tokens[index + 1 :]}
        assert set(await store.parked_after("orders", "hook", token)) == beyond
    assert await store.parked_after("orders", "unknown", "") == []


async def test_dead_letters_are_read_in_pages_in_their_order(store: Store) -> None:
    numbers = list(range(2500))
    random.Random(7).shuffle(numbers)
    for start in range(0, 2500, 500):
        batch = numbers[start : start + 500]
        await store.park([letter(n, route="even" if n % 2 == 0 else "odd") for n in batch])
    found = await collected(store.dead_letters())
    assert sorted(one.letter.event.token for one in found) == [event(n).token for n in range(2500)]
    places = [(one.created_at, one.letter.event.token) for one in found]
    assert places == sorted(places)

    even = await collected(store.dead_letters(subscription="orders", route="even"))
    assert [one.letter.event.id for one in even] == [
        one.letter.event.id for one in found if one.letter.route == "even"
    ]
    assert len(await collected(store.dead_letters(limit=333))) == 333
    assert len(await collected(store.dead_letters(limit=9999))) == 2500
    assert await collected(store.dead_letters(limit=0)) == []
    assert await collected(store.dead_letters(subscription="orders", route="neither")) == []
    assert await collected(store.dead_letters(subscription="other")) == []


async def test_reading_dead_letters_needs_memory_for_a_page_only(store: Store) -> None:
    blob = random.Random(3).randbytes(400_000)
    for number in range(250):  # 100 MB
        await store.park([letter(number, body=blob)])
    tracemalloc.start()
    try:
        total = 0
        async for stored in store.dead_letters():
            total += len(stored.letter.body or b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 250 * 400_000
    assert peak < 60_000_000  # a reply of 16 MB, the driver's copies of it, and one letter


async def test_reading_may_stop_half_way_and_go_on_while_letters_come(store: Store) -> None:
    await store.park([letter(number) for number in range(600)])
    seen = []
    async for stored in store.dead_letters():
        seen.append(stored.letter.event.id)
        if len(seen) == 100:
            await store.park([letter(number) for number in range(600, 700)])
    assert seen == [event(number).id for number in range(700)]


async def test_the_time_of_parking_is_the_stores(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await store.park([letter(1)])
    (stored,) = await collected(store.dead_letters())
    assert before < stored.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert stored.created_at.tzinfo is not None
