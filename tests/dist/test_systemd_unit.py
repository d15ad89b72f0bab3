"""The unit for systemd: it starts what exists, waits long enough, and gives no right that is not needed."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from eventbus.cli.commands import app
from eventbus.config.models import DaemonSection
from eventbus.units import parse_duration
from tests.docs.pages import ROOT

UNIT = ROOT / "config/deploy/systemd/eventbus.service"
PREFIX = "/opt/eventbus/bin/eventbus "


def _read() -> configparser.SectionProxy:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # its own way to keep capitals
    unit.read(UNIT)
    return unit["Service"]


SERVICE = _read()


@pytest.mark.parametrize("key", ["ExecStartPre", "ExecStart"])
def test_what_it_starts_is_a_command(key: str) -> None:
    """With the options and as many arguments as the command line takes."""
    assert SERVICE[key].startswith(PREFIX)
    name, *words = SERVICE[key].removeprefix(PREFIX).split()
    command = typer.main.get_command(app)
    context = command.make_context("eventbus", [name, *words], resilient_parsing=True)
    assert name in command.list_commands(context)  # type: ignore[attr-defined]  # it is a group
    assert words[-1] == "/etc/eventbus/eventbus.yaml"


def test_it_is_ready_and_alive_when_the_daemon_says_so() -> None:
    """And waits for a MongoDB that is away for as long as that takes."""
    assert (SERVICE["Type"], SERVICE["NotifyAccess"]) == ("notify", "main")
    assert SERVICE["TimeoutStartSec"] == "infinity"
    assert parse_duration(SERVICE["WatchdogSec"]) > 0


def test_a_drain_has_the_time_that_it_may_take() -> None:
    """The default of `daemon.drain_timeout`, and some seconds for what follows it."""
    assert parse_duration(SERVICE["TimeoutStopSec"]) >= DaemonSection().drain_timeout + 10


def test_a_wrong_configuration_is_not_tried_again() -> None:
    """2 is the exit code of that, and of nothing else."""
    assert SERVICE["RestartPreventExitStatus"] == "2"
    assert SERVICE["Restart"] == "on-failure"


@pytest.fixture
def analyze() -> str:
    """The tool that knows units."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_systemd_understands_every_line(analyze: str, tmp_path: Path) -> None:
    """Where the program exists, it has nothing to say."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PREFIX, "/bin/true "))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_gives_few_rights(analyze: str) -> None:
    """Below 2 of 10 points of exposure: what is left is the network, which it is for."""
    words = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]
