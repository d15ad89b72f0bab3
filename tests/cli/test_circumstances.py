"""Every command in bad circumstances: a broken configuration, a reader that is gone, Ctrl-C, our own mistake.

Servers that are away are part of the golden files: see golden_lines.py.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eventbus.state.sqlite import SqliteStore
from tests.cli.command_line import Answer, CommandLine
from tests.cli.golden_lines import LINES

CONFIG = """\
mongodb: {uri: "mongodb://127.0.0.1:1/?replicaSet=rs0"}
state: {type: sqlite, path: %(directory)s/state.db}
sinks:
  ledger: {type: file, path: %(directory)s/ledger.jsonl}
  feed: {type: redis, url: "redis://127.0.0.1:1/0", stream: s}
  partner: {type: webhook, url: "http://127.0.0.1:1/"}
subscriptions:
  orders:
    source: {database: shop, collections: [orders]}
    routes: [feed, partner]
  stock:
    source: {database: shop, collections: [stock]}
    routes: [ledger, partner]
"""
FIRST = {
    name: next(line for line in lines if "CONFIG" in line)
    for name, lines in LINES.items()
    if "CONFIG" in "".join(lines)
}
SECRET = "hunter2"


@pytest.fixture
def line(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Nothing but a file with state; every server is away, and nobody waits for one."""
    alone.config_path.write_text(CONFIG % {"directory": alone.config_path.parent})
    alone.park()
    monkeypatch.setattr("eventbus.sources.mongodb.client._TIMEOUT_MS", 50)
    monkeypatch.delenv("EVENTBUS_TRACEBACK", raising=False)
    return alone


def _call(line: CommandLine, written: str, config: Path) -> Answer:
    typed = written.partition(" <<<")[0].replace("CONFIG", shlex.quote(str(config)))
    typed = typed.replace("LETTER", "0" * 32).replace("URL", "http://127.0.0.1:1")
    answer = line.plainly(*shlex.split(typed))
    assert not re.search("Traceback|Exception ignored", answer.err), answer.err
    return answer


@pytest.mark.parametrize("name", FIRST)
def test_a_broken_configuration(name: str, line: CommandLine, tmp_path: Path) -> None:
    """Exit 2, and where the mistake is."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("mongodb: {uri: nonsense}\nsinks: {}\n")
    answer = _call(line, FIRST[name], broken)
    assert (answer.code, answer.out) == (2, "")
    assert f"{broken}:1:" in answer.err


class _Gone(io.StringIO):
    """Standard output whose reader is gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    @property
    def buffer(self) -> Any:  # as bytes are written, too
        return self

    def fileno(self) -> int:
        return self._descriptor

    def write(self, _: object) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("name", FIRST)
def test_nobody_reads_the_answer(name: str, line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind ``| head -1``: it ends, and says nothing about it."""
    with Path(os.devnull).open("w") as nowhere, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _Gone(nowhere.fileno()))
        answer = _call(line, FIRST[name], line.config_path)
    assert answer.code in {0, 1, 2, 3}
    assert "should not happen" not in answer.err


class _Full(_Gone):
    """Standard output into a file on a disk that is full."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is, and nobody takes what was written for all."""
    with Path(os.devnull).open("w") as nowhere, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _Full(nowhere.fileno()))
        answer = _call(line, "schema", line.config_path)
    assert answer.code == 1
    assert "not all could be written: the output: No space left on device" in answer.err


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", FIRST)
def test_ctrl_c(name: str, line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130, as a shell expects it of whoever is ended by SIGINT; what goes on until then ends well."""
    monkeypatch.setattr("eventbus.cli.options.load", _interrupted)
    assert _call(line, FIRST[name], line.config_path).code == (0 if name == "tail" else 130)


def test_ctrl_c_while_a_server_is_asked(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from within the loop."""

    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SqliteStore, "open", interrupted)
    assert _call(line, "gaps -c CONFIG", line.config_path).code == 130


def test_our_own_mistake(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 70, a sentence, no secret; what we need to find it only if it is asked for."""

    async def broken(*_: object) -> None:
        raise ExceptionGroup("several", [RuntimeError(f"no mongodb://me:{SECRET}@host/ here")])

    monkeypatch.setattr(SqliteStore, "open", broken)
    answer = _call(line, "gaps -c CONFIG", line.config_path)
    assert (answer.code, answer.out) == (70, "")
    assert "this should not happen: RuntimeError: no mongodb://me:***@host/ here" in answer.err
    monkeypatch.setenv("EVENTBUS_TRACEBACK", "1")
    answer = line.plainly("gaps", "-c", str(line.config_path))
    assert "Traceback" in answer.err
    assert SECRET not in answer.err


def test_in_a_pipe_of_a_shell(line: CommandLine) -> None:
    """Real processes: the reader takes a line and goes."""
    call = [sys.executable, "-m", "eventbus", "schema"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in {0, 1}


def test_sigint_at_a_prompt(line: CommandLine, tmp_path: Path) -> None:
    """A real process that waits for an answer."""
    call = [sys.executable, "-m", "eventbus", "init", str(tmp_path / "new.yaml"), "--offline"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        call, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "MONGODB_URI": "mongodb://x/"}
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read(8) == b"database"
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode in {1, 130}
    assert not (tmp_path / "new.yaml").exists()
