"""`eventbus doctor` and an oplog that forgets soon, and positions that it has forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.doctor.findings import Verdict
from eventbus.doctor.oplog import Oplog, reach
from eventbus.model import ClusterTime
from eventbus.servers import open_store
from eventbus.sources.mongodb.tokens import high_water_mark
from eventbus.state.store import Save
from tests.doctor.forgetful import forget, oldest, start_forgetful
from tests.doctor.patient import Patient

HOUR = 3600
MB = 1 << 20


@pytest.fixture(scope="module")
def forgetful() -> Iterator[MongoService]:
    """An oplog of 1 MB that has begun to forget."""
    with start_forgetful() as service:
        with MongoClient[dict[str, Any]](service.uri) as client:
            forget(client)
        yield service


def _stored(patient: Patient, seconds: int) -> None:
    """The route's position."""

    async def save() -> None:
        async with open_store(patient.config()) as store:
            lease = await store.acquire("orders", lease_secs=60.0, reclaim=True)
            assert lease is not None
            position = high_water_mark(ClusterTime(seconds, 1))
            await store.save([Save(lease, {"feed": position})], lease_secs=60.0)

    anyio.run(save)


@pytest.mark.services
def test_an_oplog_that_reaches_back_for_seconds(forgetful: MongoService, tmp_path: Path) -> None:
    """What is shown gives it room for three days at its pace; the server takes it."""
    patient = Patient(tmp_path, forgetful.uri)
    problems = patient.problems()
    assert set(problems) == {"oplog.short"}
    found = problems["oplog.short"]
    assert "MiB an hour" in found.text
    assert '"replSetResizeOplog":1' in found.mend


@pytest.mark.services
def test_positions_that_are_lost_or_soon_will_be(forgetful: MongoService, tmp_path: Path) -> None:
    """Each with the command that decides what becomes of the route."""
    patient = Patient(tmp_path, forgetful.uri)
    with MongoClient[dict[str, Any]](forgetful.uri) as client:
        first = oldest(client).time
    _stored(patient, first - 2 * HOUR)
    problem = patient.problems()["oplog.position_lost"]
    assert (problem.about, problem.verdict) == ("orders/feed", Verdict.FAIL)
    assert problem.text == "it is 2.0 h older than the oldest change"
    assert "eventbus position set orders --route feed --to oldest" in problem.mend
    _stored(patient, first + 1000)
    problem = patient.problems()["oplog.position_near"]
    assert (problem.about, problem.verdict) == ("orders/feed", Verdict.WARN)
    _stored(patient, first + 5 * HOUR)
    assert not {"oplog.position_near", "oplog.position_lost"} & set(patient.problems())


@pytest.mark.services
def test_a_position_near_the_begin_of_a_new_replica_set_is_in_no_danger(
    patient: Patient, client: MongoClient[dict[str, Any]]
) -> None:
    """Its oplog forgets nothing yet."""
    _stored(patient, oldest(client).time + 1)
    assert patient.problems() == {}


@pytest.mark.parametrize(
    ("oplog", "code", "words"),
    [
        (Oplog(0, 30 * HOUR, False, 100 * MB, 100 * MB), "oplog", "30.0 h, and grows by 3.3 MiB an hour"),
        (Oplog(0, 20 * HOUR, False, 100 * MB, 100 * MB), "oplog.short", "20.0 h"),
        (Oplog(0, 20 * HOUR, False, 10 * MB, 100 * MB), "oplog", "once full, for 200.0 h"),
        (Oplog(0, 2 * HOUR, True, 50 * MB, 100 * MB), "oplog.short", "2.0 h, and grows by 25.0 MiB an hour"),
        (Oplog(0, 60, True, 90 * MB, 100 * MB), "oplog", "cannot be told"),
        (Oplog(0, 20 * HOUR, False, None, None), "oplog.short", "20.0 h"),
        (Oplog(0, 20 * HOUR, True, None, None), "oplog", "cannot be told"),
    ],
)
def test_what_counts_is_how_far_it_will_reach_back_once_it_is_full(
    oplog: Oplog, code: str, words: str
) -> None:
    """At the pace at which it grows; a minute tells no pace."""
    finding = reach(oplog)
    assert finding.code == code
    assert words in finding.text


def test_room_for_three_days_is_asked_for() -> None:
    """100 MB in 20 hours are 360 in three days; the server takes no less than 990."""
    assert reach(Oplog(0, 20 * HOUR, False, 1000 * MB, 1000 * MB)).mend.endswith('"size":3600.0})')
    assert reach(Oplog(0, 20 * HOUR, False, 100 * MB, 100 * MB)).mend.endswith('"size":990.0})')
