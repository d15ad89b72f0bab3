"""Patients: well ones, and servers on which something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from tests.doctor.patient import Patient


@pytest.fixture
def patient(mongo: MongoService, tmp_path: Path, fresh_database: str) -> Patient:
    """All is well: a replica set, state in a file, a sink that is a file."""
    return Patient(tmp_path, mongo.uri, fresh_database)


@pytest.fixture
def client(mongo: MongoService) -> Iterator[MongoClient[dict[str, Any]]]:
    """An administrator."""
    with MongoClient[dict[str, Any]](mongo.uri) as connected:
        yield connected


@pytest.fixture(scope="module")
def guarded() -> Iterator[MongoService]:
    """A replica set with access control; its user root may do anything."""
    with MongoService.start(auth=("root", "secret"), own=True) as service:
        yield service
