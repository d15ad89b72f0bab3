"""`eventbus doctor` and sinks: reached or not, and no message unless that is asked for."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import redis

from eventbus.devservices import RedisService
from eventbus.doctor.findings import Finding
from eventbus.doctor.targets import target
from tests.doctor.patient import Patient

NOBODY = "mongodb://127.0.0.1:1/?replicaSet=rs0"


@pytest.fixture
def alone(tmp_path: Path) -> Patient:
    """No server of MongoDB is needed to look at sinks."""
    return Patient(tmp_path, NOBODY)


def _looked_at(patient: Patient, *, write: bool = False) -> Finding:
    async def look() -> Finding:
        return await target(patient.config(), "feed", write=write, sender="a test")

    return anyio.run(look)


def test_a_wrong_port(alone: Patient) -> None:
    """The step that fails is named, and the command that shows all of them."""
    alone.parts["sink"] = '{type: webhook, url: "http://127.0.0.1:1/"}'
    for write in (False, True):
        finding = _looked_at(alone, write=write)
        assert (finding.code, finding.about) == ("sink.unreachable", "feed")
        assert finding.text.startswith("connect: 127.0.0.1 port 1: Connect")
        assert finding.mend.startswith("eventbus sink test feed")


def test_a_folder_that_is_not_there(alone: Patient) -> None:
    """A sink that is a file is not opened, for a daemon may have it open; its folder is looked at."""
    assert _looked_at(alone).code == "sink"
    assert not (alone.directory / "feed.jsonl").exists()
    alone.parts["sink"] = "{type: file, path: /no/such/folder/feed.jsonl}"
    finding = _looked_at(alone)
    assert (finding.code, finding.text) == ("sink.unreachable", "there is no folder /no/such/folder")


def test_a_file_is_written_on_request(alone: Patient) -> None:
    """One line, marked as a test."""
    assert "took event" in _looked_at(alone, write=True).text
    (line,) = (alone.directory / "feed.jsonl").read_text().splitlines()
    assert '"eventbus.test"' in line


def test_a_path_that_is_no_file(alone: Patient) -> None:
    """Trying again is of no use there."""
    (alone.directory / "feed.jsonl").mkdir()
    assert _looked_at(alone, write=True).code == "sink.refused"


def test_standard_output_is_always_there(alone: Patient) -> None:
    """Nothing is to be reached."""
    alone.parts["sink"] = "{type: stdout}"
    assert _looked_at(alone).text == "is on this machine"


@pytest.mark.services
def test_no_message_is_written_unless_that_is_asked_for(
    alone: Patient, redis_service: RedisService, fresh_database: str
) -> None:
    """And where it is not taken, that is found."""
    stream = f"test:{fresh_database}"
    alone.parts["sink"] = f'{{type: redis, url: "{redis_service.url}", stream: "{stream}"}}'
    with redis.Redis.from_url(redis_service.url) as client:
        assert _looked_at(alone).text == "reached, and let in"
        assert client.exists(stream) == 0
        assert _looked_at(alone, write=True).code == "sink"
        assert client.xlen(stream) == 1
        client.delete(stream)
        client.set(stream, "no stream")
        assert _looked_at(alone, write=True).code == "sink.not_delivered"
        client.delete(stream)


@pytest.mark.services
def test_a_sink_for_documents_alone_is_sent_nothing(
    alone: Patient, redis_service: RedisService, fresh_database: str
) -> None:
    """A marked event is no change of a document."""
    keys = f'mode: set, key: "{fresh_database}:{{document_key._id}}"'
    alone.parts["sink"] = f'{{type: redis, url: "{redis_service.url}", {keys}}}'
    assert "nothing was sent" in _looked_at(alone, write=True).text
