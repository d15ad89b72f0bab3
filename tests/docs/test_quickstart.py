"""Whoever types what the quickstart says sees what it shows: its commands, on a server of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks
from tests.e2e.daemon import DaemonProcess

pytestmark = pytest.mark.services

PAGE = ROOT / "docs/quickstart.md"
COMMANDS = [
    line[2:] for block in blocks("console", PAGE) for line in block.text.splitlines() if line[0] == "$"
]
PROGRAMS = Path(sys.executable).parent


def _starting(start: str) -> list[str]:
    """The commands that begin so, in their order."""
    found = [command for command in COMMANDS if command.startswith(start)]
    assert found, start
    return found


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    """The first terminal: a MongoDB, and the line that is typed in the others."""
    environ = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    environ["PATH"] = f"{PROGRAMS}{os.pathsep}{environ['PATH']}"
    (command,) = _starting("python -m eventbus.devservices")
    first = subprocess.Popen(
        shlex.split(command), env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert first.stdout is not None
        name, _, value = first.stdout.readline().decode().removeprefix("export ").strip().partition("=")
        yield environ | {name: shlex.split(value)[0]}
    finally:
        first.send_signal(signal.SIGINT)
        assert first.stdout is not None
        first.stdout.close()
        first.wait(60)


class _Second(DaemonProcess):
    """The second terminal: the daemon with the page's file, and a port of its own."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        super().__init__(directory, {}, environ)
        (block,) = blocks("yaml", PAGE)
        self.config_path = directory / "quickstart.yaml"
        self.config_path.write_text(f"{block.text}server: {{port: 0}}\n")
        assert set(_starting("eventbus run")) == {"eventbus run -c quickstart.yaml"}
        self._command = ["eventbus", "run", "-c", str(self.config_path)]

    def changes(self) -> list[dict[str, Any]]:
        """What it has shown."""
        return [json.loads(line) for line in self.log().splitlines() if "specversion" in line]


def test_the_quickstart(environ: dict[str, str], tmp_path: Path) -> None:
    """A change arrives, one that is made after a kill arrives too, and then all is well."""

    def typed(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    second = _Second(tmp_path, environ)
    (validate,) = _starting("eventbus validate")
    assert f"$ {validate}\n{typed(validate)}" in PAGE.read_text()
    insert, update = _starting("python -c")

    second.start()
    between = PAGE.read_text().partition("$ eventbus run")[2].partition(insert)[0]
    assert "`subscription_started`" in between  # a change that is made before that line never comes
    assert "subscription_started" in second.log()
    typed(insert)
    second.wait_for(second.changes, "insert")
    (shown,) = [json.loads(block.text) for block in blocks("json", PAGE)]
    assert _timeless(second.changes()[0]) == _timeless(shown)
    second.kill()

    typed(update)
    second.start()
    second.wait_for(lambda: any(c["data"]["operation"] == "update" for c in second.changes()), "update")
    looks = _starting("eventbus status") + _starting("eventbus position") + _starting("eventbus dlq")
    status, positions, letters = map(typed, looks)
    assert re.search(r"│ orders +│ lines ", status)
    assert "lines" in positions
    assert "lines" not in letters
    assert second.terminate() == 0


def _timeless(change: dict[str, Any]) -> dict[str, Any]:
    """Without what differs each time."""
    return {name: value for name, value in change.items() if name not in {"id", "time", "clustertime"}}
