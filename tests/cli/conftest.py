"""The command line as a person has it: a configuration, a state store with something in it, a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.cli import progress
from eventbus.devservices import MongoService
from eventbus.sources.mongodb import client
from tests.cli.command_line import CommandLine

NOBODY = "mongodb://127.0.0.1:1/?replicaSet=rs0"
"""An address that no command of these tests may need."""


@pytest.fixture
def _nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that looks for `NOBODY` all the same finds out soon."""
    monkeypatch.setattr(client, "_TIMEOUT_MS", 1000)


@pytest.fixture
def mongodb_state(mongo: MongoService, fresh_database: str) -> str:
    """State in a database that no other test uses."""
    return f'{{type: mongodb, uri: "{mongo.uri}", database: {fresh_database}}}'


@pytest.fixture(params=[pytest.param("mongodb", marks=pytest.mark.services), "sqlite"])
def command(
    _nobody_answers: None,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> CommandLine:
    """Commands on each of the two stores."""
    if request.param == "mongodb":
        state = request.getfixturevalue("mongodb_state")
    else:
        state = f"{{type: sqlite, path: {tmp_path}/state.db}}"
    return CommandLine(tmp_path, state, NOBODY, monkeypatch, capfd)


@pytest.fixture
def alone(
    _nobody_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Commands on SQLite, for what no store makes a difference to."""
    state = f"{{type: sqlite, path: {tmp_path}/state.db}}"
    return CommandLine(tmp_path, state, NOBODY, monkeypatch, capfd)


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows an operation looks often, so that no test waits for it."""
    monkeypatch.setattr(progress, "_LOOK_EVERY_SECS", 0.02)
