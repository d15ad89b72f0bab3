"""Notices on their way: bounded in number and age, tried again, in order, and nobody waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import orjson
import pytest

from eventbus.config.notices import NoticesSection
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import DELIVERED, Event, Failure, Fault, Message, Rejected, Retry
from eventbus.notices import Desk
from eventbus.notices.letters import LetterWatch
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder
from eventbus.state.store import LetterStore
from eventbus.telemetry import metrics, notices
from tests.runtime.clock import run_virtual
from tests.runtime.scripted import Scripted

HOUR = 3600.0
DOWN = Retry(Fault.UNAVAILABLE, "nobody listens", kind=Failure.NETWORK)
BROKEN = Retry(Fault.FAILED, "it says 500", kind=Failure.SERVER)


class Away(Scripted):
    """A sink that is opened after so long, and then takes everything."""

    def __init__(self, secs: float) -> None:
        super().__init__(secs=0.0)
        self._away_secs = secs

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""
        if anyio.current_time() < self._away_secs:
            raise Unreachable("nobody listens")


class Choosy(Scripted):
    """A sink that has no form for what it gets."""

    def encode(self, event: Event, encoder: Encoder) -> Message:
        """See `eventbus.sdk.Sink`."""
        raise ValueError("a secret")


def _played(
    sink: Scripted,
    scene: Callable[[Desk], Awaitable[None]],
    *,
    within_secs: float = 24 * HOUR,
    **section: Any,
) -> list[dict[str, Any]]:
    """Play a scene whose notices go into a sink; what arrived, as it was read."""

    async def whole() -> None:
        desk = Desk("eventbus-1")
        with notices.heard_by(desk.outbox):
            desk.use(NoticesSection(sink="scripted", **section), SharedSink(sink))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.run, _store(Letters()), dict)
                await scene(desk)
                tasks.cancel_scope.cancel()

    run_virtual(whole, within_secs=within_secs)
    return [orjson.loads(body) for body in sink.bodies]


def _store(letters: Letters) -> LetterStore:
    return cast("LetterStore", letters)


def _ended(kind: str) -> dict[str, float]:
    """How many notices of a kind have found which end, in this process."""
    (family,) = metrics._notices.collect()
    return {
        sample.labels["outcome"]: sample.value
        for sample in family.samples
        if sample.name == "eventbus_notices_total" and sample.labels["kind"] == kind
    }


def _counted(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {
        name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)
    }


def test_a_notice_says_what_why_since_when_and_what_to_do() -> None:
    """One CloudEvent, with the daemon's name, and no secret of a reason."""

    async def scene(desk: Desk) -> None:
        circuit = notices.RouteNotices("orders", "hook", "partner")
        circuit.circuit_opened("mongodb://me:secret@host/ is away", fault="unavailable", kind="network")
        await anyio.sleep(10.0)
        circuit.circuit_closed()
        await desk.close(5.0)

    opened, closed = _played(Scripted(secs=0.0), scene)
    assert {name: opened[name] for name in ("specversion", "type", "source", "subject", "subscription")} == {
        "specversion": "1.0",
        "type": "eventbus.notice.circuit_opened",
        "source": "/eventbus/eventbus-1",
        "subject": "orders/hook",
        "subscription": "orders",
    }
    assert opened["data"] | {"since": ""} == {
        "kind": "circuit_opened",
        "instance": "eventbus-1",
        "subscription": "orders",
        "route": "hook",
        "sink": "partner",
        "reason": "mongodb://me:***@host/ is away",
        "since": "",
        "changes": 1,
        "next": "eventbus sink test -c eventbus.yaml partner",
        "runbook": "docs/runbook.md#a-sink-is-down",
        "details": {"fault": "unavailable", "failure": "network"},
    }
    assert opened["time"] == opened["data"]["since"]
    assert closed["data"]["began"] == opened["data"]["since"]
    assert closed["id"] != opened["id"]


def test_an_outage_of_the_sink_delays_and_keeps_the_order() -> None:
    """The same notice is tried again with the same id; those behind it wait."""

    async def scene(desk: Desk) -> None:
        for name in ("one", "two", "three"):
            notices.subscription_started(name)
        await desk.close(HOUR)
        assert desk.outbox.waiting == 0

    sink = Scripted([DOWN], [DOWN], [DELIVERED], [DOWN], secs=0.0)
    before = _ended("subscription_started")
    _played(sink, scene)
    tried = [call[0].id for call in sink.calls]
    assert [tried.index(one) for one in tried] == [0, 0, 0, 3, 3, 5]
    assert _counted(before, _ended("subscription_started")) == {"sent": 3.0}


def test_a_sink_that_is_away_delays_nobody_and_notices_nothing_of_itself() -> None:
    """It is waited for; that it is, is no notice, for it could only be sent once it is no longer true."""

    async def scene(desk: Desk) -> None:
        begun = anyio.current_time()
        notices.subscription_started("orders")
        notices.sink_waiting("another", "nobody listens")
        assert anyio.current_time() == begun
        await desk.close(HOUR)

    arrived = _played(Away(100.0), scene)
    assert [one["type"] for one in arrived] == [
        "eventbus.notice.subscription_started",
        "eventbus.notice.sink_waiting",
    ]
    assert arrived[1]["subject"] == "another"


def test_the_queue_is_bounded_and_the_newest_are_kept() -> None:
    """What is dropped is counted."""

    async def scene(desk: Desk) -> None:
        for number in range(50):
            notices.subscription_started(f"s{number}")
        assert desk.outbox.waiting == 10
        await desk.close(HOUR)

    before = _ended("subscription_started")
    arrived = _played(Away(10.0), scene, max_queued=10)
    assert [one["subject"] for one in arrived] == [f"s{number}" for number in range(40, 50)]
    assert _counted(before, _ended("subscription_started")) == {"sent": 10.0, "dropped": 40.0}


def test_a_notice_that_is_too_old_is_given_up() -> None:
    """And not before: what comes later has its own time."""

    async def scene(desk: Desk) -> None:
        notices.subscription_started("orders")
        await anyio.sleep(HOUR - 1.0)
        assert desk.outbox.waiting == 1
        notices.subscription_stopped("orders")
        await anyio.sleep(2.0)
        assert desk.outbox.waiting == 1

    before = _ended("subscription_started")
    _played(Scripted(*[[DOWN]] * 10_000, secs=0.0), scene)
    assert _counted(before, _ended("subscription_started")) == {"expired": 1.0}


@pytest.mark.parametrize(
    ("sink", "tries"),
    [
        (Scripted([Rejected("it says 422")], secs=0.0), 1),
        (Scripted(*[[BROKEN]] * 8, secs=0.0), 8),
        (Choosy(secs=0.0), 0),
    ],
    ids=["rejected", "failed", "without form"],
)
def test_a_notice_that_is_not_taken_holds_up_no_other(sink: Scripted, tries: int) -> None:
    """It is refused, said so in the log, and counted."""

    async def scene(desk: Desk) -> None:
        notices.subscription_started("orders")
        await desk.close(HOUR)
        assert desk.outbox.waiting == 0

    before = _ended("subscription_started")
    _played(sink, scene)
    assert _counted(before, _ended("subscription_started")) == {"refused": 1.0}
    assert len(sink.calls) == tries


def test_only_the_kinds_that_are_wanted_are_sent() -> None:
    """The others are no less followed: a kind that is wanted ends one that is not."""

    async def scene(desk: Desk) -> None:
        circuit = notices.RouteNotices("orders", "hook", "partner")
        circuit.circuit_opened("down", fault="unavailable", kind="network")
        circuit.circuit_closed()
        notices.subscription_started("orders")
        await desk.close(HOUR)

    arrived = _played(Scripted(secs=0.0), scene, kinds=["circuit_closed"])
    assert [one["data"]["kind"] for one in arrived] == ["circuit_closed"]


def test_a_held_notice_goes_out_by_itself() -> None:
    """Though nothing else happens that would wake anybody."""

    async def scene(desk: Desk) -> None:
        for reason in ("one", "two"):
            notices.reload_refused([reason])
        await anyio.sleep(299.0)
        assert len(sink.calls) == 1
        await anyio.sleep(2.0)

    sink = Scripted(secs=0.0)
    assert [one["data"]["reason"] for one in _played(sink, scene)] == ["one", "two"]


def test_headroom_is_back_when_it_is_well_above() -> None:
    """A route that hovers at the bound is told of once."""

    def look(secs: float) -> None:
        notices.headroom_seen("orders", "hook", secs, secs=secs, burn_rate=0.0, left_secs=float("inf"))

    async def scene(desk: Desk) -> None:
        for secs in (20 * HOUR, 5 * HOUR, 6.5 * HOUR, 5 * HOUR, 8.9 * HOUR, 9.1 * HOUR):
            look(secs)
        await desk.close(HOUR)

    arrived = _played(Scripted(secs=0.0), scene)
    assert [one["data"]["kind"] for one in arrived] == ["headroom_low", "headroom_back"]
    assert arrived[0]["data"]["details"] == {"headroom_secs": 18000, "burn_rate": 0.0, "left_secs": None}


class Letters:
    """A store of which only the number of dead letters is asked."""

    def __init__(self) -> None:
        self.parked = 0
        self.asked = 0
        self.is_away = False

    async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
        """See `eventbus.state.store.LetterStore`."""
        self.asked += 1
        if self.is_away:
            raise Unreachable("the store is away")
        return min(self.parked, most)


def test_dead_letters_are_counted_when_there_are_news() -> None:
    """Above the bound and back; a store that is away is asked again; a quiet route is asked hardly ever."""
    store = Letters()

    async def scene(desk: Desk) -> None:
        hook = notices.RouteNotices("orders", "hook", "partner")
        watch = LetterWatch(_store(store), desk.outbox, lambda: {"orders": ["hook"]})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            await anyio.sleep(200.0)
            assert store.asked == 1
            store.parked, store.is_away = 3, True
            hook.parked()
            await anyio.sleep(10.0)
            store.is_away = False
            await anyio.sleep(10.0)
            store.parked = 2
            await anyio.sleep(10.0)
            tasks.cancel_scope.cancel()
        await desk.close(HOUR)

    arrived = _played(Scripted(secs=0.0), scene, dead_letters_above=2)
    assert [(one["data"]["kind"], one["data"]["details"]) for one in arrived] == [
        ("dead_letters_above", {"more_than": 2}),
        ("dead_letters_below", {"dead_letters": 2}),
    ]


def test_a_sink_that_is_closed_by_a_reload_is_let_go_first_and_what_waited_goes_to_the_next() -> None:
    """The old one is used no more once it is released, and nothing is lost."""
    old, new = Scripted([DOWN], [DOWN], secs=5.0), Scripted(secs=0.0)

    async def scene(desk: Desk) -> None:
        notices.subscription_started("orders")
        await anyio.sleep(2.0)
        await desk.release()
        calls = len(old.calls)
        notices.subscription_started("users")
        await anyio.sleep(100.0)
        assert len(old.calls) == calls == 1
        desk.use(NoticesSection(sink="new"), SharedSink(new))
        await desk.close(HOUR)
        desk.use(None, None)
        notices.subscription_started("stock")
        await anyio.sleep(1.0)
        assert desk.outbox.waiting == 0

    _played(old, scene)
    assert [call[0].document["subscription"] for call in new.calls] == ["orders", "users"]  # type: ignore[index,call-overload]


def test_a_sink_that_refuses_to_open_is_said_so_and_tried_again() -> None:
    """Nothing ends by it."""

    class Refusing(Away):
        async def open(self) -> None:
            """See `eventbus.sdk.Sink`."""
            if anyio.current_time() < 400.0:
                raise ConfigurationError("the password is wrong")

    async def scene(desk: Desk) -> None:
        notices.subscription_started("orders")
        await desk.close(HOUR)

    sink = Refusing(0.0)
    _played(sink, scene)
    assert sink.times == [600.0]


def test_a_sink_with_a_bug_ends_nothing() -> None:
    """It raises while it is opened, and answers what is no outcome: it is tried again, and all goes on."""

    class Buggy(Scripted):
        async def open(self) -> None:
            """See `eventbus.sdk.Sink`."""
            if anyio.current_time() < 50.0:
                raise RuntimeError("a bug of a plugin")

    async def scene(desk: Desk) -> None:
        notices.subscription_started("orders")
        await desk.close(HOUR)
        assert desk.outbox.waiting == 0

    nonsense = cast("Rejected", None)
    sink = Buggy([nonsense], secs=0.0)
    _played(sink, scene)
    assert [call[0].id for call in sink.calls] == [sink.calls[0][0].id] * 2


def test_a_store_that_refuses_ends_nothing() -> None:
    """Whatever it says, the next look asks again."""

    class Refusing(Letters):
        async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
            """See `eventbus.state.store.LetterStore`."""
            await super().count_parked(subscription, route, most=most)
            if self.asked == 1:
                raise ConfigurationError("not authorised")
            return 0

    store = Refusing()

    async def scene(desk: Desk) -> None:
        watch = LetterWatch(_store(store), desk.outbox, lambda: {"orders": ["hook"]})
        with anyio.move_on_after(10.0):
            await watch.run()

    _played(Scripted(secs=0.0), scene)
    assert store.asked == 2


def test_what_changes_while_nobody_listens_is_told_when_it_comes_again() -> None:
    """A reload took the section away, and another one brought it back."""
    sink = Scripted(secs=0.0)

    async def scene(desk: Desk) -> None:
        circuit = notices.RouteNotices("orders", "hook", "partner")
        circuit.circuit_opened("one", fault="unavailable", kind="network")
        await desk.close(HOUR)
        await desk.release()
        desk.use(None, None)
        circuit.circuit_closed()
        desk.use(NoticesSection(sink="scripted"), SharedSink(sink))
        circuit.circuit_opened("two", fault="unavailable", kind="network")
        await desk.close(HOUR)

    arrived = _played(sink, scene)
    assert [one["data"]["reason"] for one in arrived] == ["one", "two"]


def test_where_nobody_listens_nothing_happens() -> None:
    """Commands and tests run the same code."""
    notices.subscription_started("orders")
    notices.RouteNotices("orders", "hook", "partner").parked()
    notices.headroom_seen("orders", "hook", 0.0, secs=0.0, burn_rate=0.0, left_secs=0.0)
    notices.forgotten("orders")
