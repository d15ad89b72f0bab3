"""`eventbus doctor` on servers that are away, refuse us, or cannot do what is needed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eventbus.devservices import MongoService
from eventbus.doctor.findings import Verdict
from eventbus.doctor.server import Greeting, version
from tests.doctor.patient import Patient

NOBODY = "mongodb://127.0.0.1:1/?replicaSet=rs0"


@pytest.mark.services
def test_all_is_well(patient: Patient) -> None:
    """One finding for each check, each with what was seen and nothing to do."""
    findings = patient.findings()
    assert [finding.code for finding in findings] == [
        *("topology", "version", "clock", "pool", "privileges", "stream", "oplog"),
        *("state", "sink"),
    ]
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert not any(finding.mend for finding in findings)
    texts = {finding.code: finding.text for finding in findings}
    assert texts["topology"].startswith("replica set rs0, read from 127.0.0.1:")
    assert texts["privileges"] == "the server asks nobody for a name: access control is off"
    assert "the daemon opens up to" in texts["pool"]
    assert "is made when a daemon first runs" in texts["state"]


@pytest.mark.slow
def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """It is said once for the source; what needs no server is examined all the same."""
    patient = Patient(tmp_path, NOBODY)
    findings = patient.findings()
    assert [finding.code for finding in findings] == ["topology.unreachable", "state", "sink"]
    assert "127.0.0.1:1" in findings[0].text


@pytest.mark.slow
def test_state_on_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The state store is a server of its own."""
    patient = Patient(tmp_path, NOBODY)
    patient.parts["state"] = "{type: mongodb}"
    assert set(patient.problems()) == {"topology.unreachable", "state.unreachable"}


@pytest.mark.services
def test_a_standalone_server(tmp_path: Path) -> None:
    """Which has no change streams; and an address that takes it for a member of a set."""
    with MongoService.start(replica_set=False, own=True) as service:
        patient = Patient(tmp_path, service.uri)
        problems = patient.problems()
        assert set(problems) == {"topology.standalone"}
        assert "--replSet" in problems["topology.standalone"].mend
        patient.parts["uri"] = f"mongodb://127.0.0.1:{service.port}/?replicaSet=rs0"
        assert set(patient.problems()) == {"topology.no_member"}
        patient.parts["state"] = f'{{type: mongodb, uri: "{service.uri}"}}'
        assert "standalone" in patient.problems()["state.refused"].text


@pytest.mark.services
def test_a_wrong_password(guarded: MongoService, tmp_path: Path) -> None:
    """It is not shown."""
    patient = Patient(tmp_path, f"mongodb://root:hunter2@127.0.0.1:{guarded.port}/?authSource=admin")
    patient.parts["state"] = "{type: mongodb}"
    problems = patient.problems()
    assert set(problems) == {"topology.refused", "state.refused"}
    assert "hunter2" not in repr(problems)


@pytest.mark.services
def test_an_old_server(tmp_path: Path) -> None:
    """6.0.5 has no stage that splits large changes."""
    with MongoService.start(version="6.0.5", own=True) as service:
        problems = Patient(tmp_path, service.uri).problems()
    assert set(problems) == {"version.no_split"}
    assert problems["version.no_split"].text.startswith("MongoDB 6.0.5")


def test_a_server_that_is_too_old() -> None:
    """No mongod before 6.0 is to be had, so what one says is given."""
    finding = version(Greeting({"setName": "rs0"}, (5, 0, 14), 0.0))
    assert (finding.code, finding.verdict) == ("version.too_old", Verdict.FAIL)


@pytest.mark.services
@pytest.mark.parametrize(("ahead_secs", "words"), [(90.0, "90 s ahead of"), (-90.0, "90 s behind")])
def test_a_clock_that_is_off(patient: Patient, ahead_secs: float, words: str) -> None:
    """No test may set a machine's clock, so ours is one that is off."""
    problems = patient.problems(now=lambda: time.time() + ahead_secs)
    assert set(problems) == {"clock.skew"}
    assert words in problems["clock.skew"].text


@pytest.mark.services
def test_a_server_with_few_connections(tmp_path: Path) -> None:
    """Fewer than the readers of all subscriptions may hold."""
    with MongoService.start(own=True, extra_args=("--maxConns", "60")) as service:
        patient = Patient(tmp_path, service.uri)
        assert patient.problems() == {}
        patient.parts["subscriptions"] = "    catch_up: {max_readers: 100}\n"
        problems = patient.problems()
    assert set(problems) == {"pool.few_connections"}
    assert "opens up to 212 connections" in problems["pool.few_connections"].text


@pytest.mark.services
def test_a_filter_that_the_server_refuses(patient: Patient) -> None:
    """As the daemon would find at its start."""
    patient.parts["source"] += ", match: {$or: 7}"
    problems = patient.problems()
    assert set(problems) == {"stream.refused"}
    assert "subscriptions.orders.source.match" in problems["stream.refused"].text
