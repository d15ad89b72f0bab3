"""`eventbus doctor` and the state store: writes that fail, and dead letters near their limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.doctor.findings import Verdict
from eventbus.model import DeadLetter
from eventbus.sdk import Event
from eventbus.servers import open_store
from tests.doctor.patient import Patient

pytestmark = pytest.mark.services

OUT_OF_DISK_SPACE = 14031


def _park(patient: Patient, count: int) -> None:
    async def park() -> None:
        async with open_store(patient.config()) as store:
            events = [
                Event(token=f"82{i:04}", id=f"e{i}", operation="insert", database="shop", collection="orders")
                for i in range(count)
            ]
            await store.park([DeadLetter("orders", "feed", event, "HTTP 422", 1) for event in events])

    anyio.run(park)


@contextmanager
def _full_disk(client: MongoClient[dict[str, Any]]) -> Iterator[None]:
    """Inserts of the examination fail as they do on a full disk."""
    data = {"failCommands": ["insert"], "errorCode": OUT_OF_DISK_SPACE, "appName": "eventbus-doctor"}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


def test_state_in_mongodb(
    patient: Patient, mongo: MongoService, client: MongoClient[dict[str, Any]], fresh_database: str
) -> None:
    """A document is written and removed; where that fails it is said why."""
    patient.parts["state"] = f"{{type: mongodb, database: {fresh_database}}}"
    patient.parts["place"] = "database: shop, "
    assert patient.problems() == {}
    assert "doctor" not in client[fresh_database].list_collection_names()
    with _full_disk(client):
        problems = patient.problems()
    assert set(problems) == {"state.not_writable"}
    assert "14031" in problems["state.not_writable"].text


def test_a_folder_that_is_not_there(patient: Patient) -> None:
    """The file would be made, the folder is not."""
    patient.parts["state"] = f"{{type: sqlite, path: {patient.directory}/nowhere/state.db}}"
    problems = patient.problems()
    assert set(problems) == {"state.not_writable"}
    assert "No such file or directory" in problems["state.not_writable"].text


def test_a_file_that_is_no_state(patient: Patient) -> None:
    """It is not overwritten."""
    (patient.directory / "state.db").write_bytes(b"not a database " * 100)
    assert set(patient.problems()) == {"state.refused"}


@pytest.mark.parametrize(
    ("count", "code", "verdict"),
    [(7, None, None), (8, "dead_letters.near_limit", Verdict.WARN), (10, "dead_letters.full", Verdict.FAIL)],
)
def test_dead_letters_near_their_limit(
    patient: Patient, count: int, code: str | None, verdict: Verdict | None
) -> None:
    """Four fifths of what is allowed are a warning; at the limit routes wait."""
    patient.parts["rest"] = "dead_letters: {max_letters: 10}"
    _park(patient, count)
    problems = patient.problems()
    assert set(problems) == {code} - {None}
    if code is not None:
        assert problems[code].text.startswith(f"{count} of at most 10")
        assert problems[code].verdict is verdict
        assert "eventbus dlq" in problems[code].mend


def test_dead_letters_without_a_limit(patient: Patient) -> None:
    """They are counted."""
    _park(patient, 3)
    assert "3, and no limit" in [finding.text for finding in patient.findings()]
