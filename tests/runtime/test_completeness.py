"""A sink is told up to when everything was delivered or parked: never too much, and counted."""

from __future__ import annotations

import itertools
from dataclasses import replace

import anyio
import pytest

from eventbus.model import Event
from eventbus.runtime.completeness import WATERMARK
from eventbus.runtime.policy import RetryPolicy
from tests.runtime.history import FIRST_SECOND, Fate, Pace
from tests.runtime.scenes import delivered, load, route, running
from tests.runtime.target import RouteTag, Trouble
from tests.runtime.world import RoutePlan, World, WorldPlan


def _telling(*troubles: Trouble, every_secs: float = 5.0) -> RoutePlan:
    plan = route("only", *troubles, window=64)
    return replace(plan, policy=replace(plan.policy, watermark_every_secs=every_secs))


def _told(world: World) -> list[Event]:
    return world.ledgers["only"].statements


def _up_to(event: Event) -> int:
    assert isinstance(event.document, dict)
    seconds: str = event.document["to"]["clustertime"].partition(".")[0]
    return int(seconds) - FIRST_SECOND


def test_what_is_told_was_delivered_or_parked_before_and_every_event_is_counted_once() -> None:
    """The ledger checks the first at each statement; the counts add up to all that is not filtered."""
    world = World([_telling()], WorldPlan(pace=Pace(batch=20)))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=20)
        for fate in (Fate.FILTER, Fate.PARK, Fate.UNENCODABLE):
            world.change("z", fate=fate)
        await world.all_passed()
        await anyio.sleep_until(40.0)
        await life.stop()

    world.play(scene)
    documents = [event.document for event in _told(world) if isinstance(event.document, dict)]
    assert sum(document["events"] for document in documents) == len(world.history.events) - 1
    assert all(one["to"] == other["from"] for one, other in itertools.pairwise(documents))
    assert _up_to(_told(world)[-1]) >= 30
    assert len({event.id for event in _told(world)}) == len(documents)
    assert len(delivered(world, "only")) == len(world.history.events) - 3


def test_an_event_that_hangs_keeps_the_statement_back() -> None:
    """Nothing is said beyond it, however long it takes; then everything is."""
    plan = _telling(Trouble("failing", start=5.0, end=30.0, keys=frozenset("a")))
    patient = replace(
        plan, policy=replace(plan.policy, retry=RetryPolicy(1000, 0.1, 1.0), window_events=4096)
    )
    world = World([patient])

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep_until(6.0)
        hanging = world.change("a")
        await load(world, until=29.0, per_sec=5, keys="bcd")
        assert len(delivered(world, "only")) > 100
        assert hanging.cluster_time is not None
        assert _up_to(_told(world)[-1]) <= 6
        await world.all_passed()
        await anyio.sleep_until(50.0)
        assert _up_to(_told(world)[-1]) >= 30
        await life.stop()

    world.play(scene)


def test_nothing_is_said_while_the_sink_is_down_or_the_route_paused() -> None:
    """And the first statement afterwards covers all of it."""
    world = World([_telling(Trouble("unavailable", start=5.0, end=30.0))])

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=5)
        await world.all_passed()
        world.pause("only")
        await anyio.sleep_until(70.0)
        said = len(_told(world))
        await anyio.sleep_until(100.0)
        assert len(_told(world)) == said
        world.resume("only")
        await anyio.sleep_until(110.0)
        assert len(_told(world)) > said
        await life.stop()

    world.play(scene)


def test_a_bug_in_the_encoding_of_a_statement_costs_the_route_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried again next time, and the changes go on."""
    encode = RouteTag.encode
    bugs = iter(range(3))

    def buggy(tag: RouteTag, event: Event) -> bytes:
        if event.operation == WATERMARK and next(bugs, None) is not None:
            raise RuntimeError("a bug")
        return encode(tag, event)

    monkeypatch.setattr(RouteTag, "encode", buggy)
    world = World([_telling()])

    async def scene() -> None:
        life = await running(world)
        await load(world, until=30.0, per_sec=5)
        await world.all_passed()
        assert next(bugs, None) is None
        assert _told(world)
        await life.stop()

    world.play(scene)


def test_a_watermark_is_a_cloud_event_of_its_own_type() -> None:
    """Told apart by its type; its data has the shape of every other's."""
    import orjson

    from eventbus.encoding.cloudevents import CloudEventsEncoder
    from eventbus.model import ClusterTime, Position, PositionKind
    from eventbus.runtime.completeness import Completeness

    start, end = (Position(f"82{n}", PositionKind.IDLE, ClusterTime(1_700_000_000 + n, 1)) for n in (1, 2))
    statement = Completeness("orders", "feed", start).statement(end, 7)
    assert statement is not None
    body = orjson.loads(CloudEventsEncoder("orders").encode(statement))
    assert body["type"] == WATERMARK
    assert body["data"]["document"] == {
        "route": "feed",
        "from": {"time": "2023-11-14T22:13:21Z", "clustertime": "1700000001.1"},
        "to": {"time": "2023-11-14T22:13:22Z", "clustertime": "1700000002.1"},
        "events": 7,
    }
    assert set(body["data"]) == {
        *("operation", "database", "collection", "document_key"),
        *("document", "before", "changed", "removed"),
    }
