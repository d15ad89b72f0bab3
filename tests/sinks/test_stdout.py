"""The stdout sink in a process of its own, with all that can be at the other end of a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventbus.sdk import Message, Rejected
from eventbus.sinks.stdout import StdoutOptions, StdoutSink, _rest_of_line, _write_what_fits
from eventbus.testing import Changes, PlainEncoder

HEAD = """
import os, sys, anyio
from eventbus.sdk import ConfigurationError, Event
from eventbus.sinks.stdout import StdoutOptions, StdoutSink
from eventbus.testing import PlainEncoder

def message(sink, number, size=0):
    event = Event(token=f"{number:08d}", operation="insert", database="d", collection="c",
                  document_key={"_id": number}, document={"number": number, "text": "x" * size})
    return sink.encode(event, PlainEncoder())

def note(text):
    os.write(2, f"{text}\\n".encode())

async def main():
    sink = StdoutSink("stdout", StdoutOptions())
    await sink.open()
"""
FOOT = """
    await sink.close()

anyio.run(main)
"""


def command(body: str) -> list[str]:
    """A process that runs `body` with an open sink."""
    return [sys.executable, "-c", HEAD + body + FOOT]


@contextmanager
def running(body: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def numbers(output: bytes) -> list[int]:
    """Of the events in whole lines, each of which must parse."""
    assert output.endswith(b"\n")
    return [json.loads(line)["document"]["number"] for line in output.splitlines()]


SEND_3000 = """
    for start in range(0, 3000, 1000):
        messages = [message(sink, number, number % 300) for number in range(start, start + 1000)]
        outcomes = await sink.send(messages)
        note({str(outcome) for outcome in outcomes})
"""


def test_a_line_each_in_order_through_a_pipe() -> None:
    with running(SEND_3000) as process:
        output, notes = process.communicate(timeout=60)
    assert numbers(output) == list(range(3000))
    assert notes.decode().splitlines() == ["{'Delivered()'}"] * 3


def test_into_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as target:
        subprocess.run(command(SEND_3000), stdout=target, stderr=subprocess.DEVNULL, check=True, timeout=60)
    assert numbers((tmp_path / "out").read_bytes()) == list(range(3000))


def test_a_batch_is_out_before_it_is_called_delivered() -> None:
    """No buffer keeps it back: the process is still there, and writes nothing more."""
    body = """
    await sink.send([message(sink, 1)])
    await anyio.sleep_forever()
"""
    with running(body) as process:
        assert process.stdout is not None
        assert numbers(process.stdout.readline()) == [1]


def test_a_closed_pipe_is_an_outcome() -> None:
    body = """
    sys.stdin.read()
    for _ in range(2):
        note(await sink.send([message(sink, 1), message(sink, 2)]))
"""
    with subprocess.Popen(
        command(body), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, notes = process.communicate(timeout=60)
    assert process.returncode == 0, notes
    assert notes.decode().count("fault=<Fault.UNAVAILABLE: 'unavailable'>") == 4
    assert notes.decode().count("standard output: Broken pipe") == 4
    assert notes.decode().count("kind=<Failure.NETWORK: 'network'>") == 4


def test_a_reader_that_leaves_in_the_middle_is_an_outcome() -> None:
    body = """
    note("begin")
    note(await sink.send([message(sink, number, 1000) for number in range(1000)]))
"""
    with running(body) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"begin\n"
        assert process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        _, notes = process.communicate(timeout=60)
    assert process.returncode == 0
    assert notes.decode().count("Broken pipe") == 1000


def test_a_full_device_is_an_outcome() -> None:
    body = """
    note(await sink.send([message(sink, 1)]))
"""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(body), stdout=full, stderr=subprocess.PIPE, check=True, timeout=60, text=True
        )
    assert "UNAVAILABLE" in done.stderr
    assert "No space left on device" in done.stderr


def test_a_reader_that_stops_holds_up_neither_the_loop_nor_the_end() -> None:
    """Nobody reads: the loop still turns, the send can be cancelled, and the process can end."""
    body = """
    async def tick():
        for _ in range(50):
            await anyio.sleep(0.001)
        note("ticked")
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.send, [message(sink, number, 1000) for number in range(1000)])
        tasks.start_soon(tick)
    note("cancelled")
"""
    with running(body) as process:
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b"ticked\ncancelled\n"


def test_a_line_that_was_cut_short_by_a_cancellation_is_finished_first() -> None:
    """What comes after it begins on a line of its own."""
    body = """
    for number in (1, 2):
        with anyio.move_on_after(0.05):
            await sink.send([message(sink, number, 300_001)])
    note("cancelled")
    note(await sink.send([message(sink, 3)]))
"""
    with running(body) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"cancelled\n"
        output, notes = process.communicate(timeout=60)
    assert b"Delivered()" in notes
    assert numbers(output) == [1, 3]


def test_sends_at_once_do_not_mix() -> None:
    """Several routes share the sink, and the pipe is full most of the time."""
    body = """
    async with anyio.create_task_group() as tasks:
        for route in range(3):
            tasks.start_soon(sink.send, [message(sink, route * 50 + number, 30_000) for number in range(50)])
"""
    with running(body) as process:
        output, _ = process.communicate(timeout=60)
    found = numbers(output)
    assert sorted(found[start] for start in (0, 50, 100)) == [0, 50, 100]
    assert [number % 50 for number in found] == list(range(50)) * 3


def test_room_that_somebody_else_took_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Between our question whether there is room and our write."""

    def full(fd: int, data: object) -> int:
        raise BlockingIOError

    with (tmp_path / "out").open("wb") as target, monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert _write_what_fits(target.fileno(), memoryview(b"line\n")) == 0


def test_a_pipe_that_somebody_made_non_blocking() -> None:
    """The flag belongs to the pipe, and so to everybody who holds it."""
    body = """
    os.set_blocking(1, False)
    note(await sink.send([message(sink, number, 1000) for number in range(1000)]) == [DELIVERED] * 1000)
""".replace("DELIVERED", "sys.modules['eventbus.sdk'].DELIVERED")
    with running(body) as process:
        output, notes = process.communicate(timeout=60)
    assert numbers(output) == list(range(1000))
    assert notes == b"True\n"


def test_a_process_without_standard_output() -> None:
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command("")]
    done = subprocess.run(closed, capture_output=True, check=False, text=True, timeout=60)
    assert "ConfigurationError: standard output is closed" in done.stderr


def test_lines_and_traits() -> None:
    class Pretty(PlainEncoder):
        def encode(self, event: object) -> bytes:
            return b"{\n}"

    sink = StdoutSink("stdout", StdoutOptions())
    event = Changes().change("a")
    assert isinstance(sink.encode(event, PlainEncoder()), Message)
    assert isinstance(sink.encode(event, Pretty()), Rejected)
    assert (sink.traits.lanes, sink.traits.concurrency, sink.traits.keeps_order) == (1, 1, True)


@pytest.mark.parametrize(
    ("written", "within_line", "rest"),
    [
        (0, False, b""),
        (0, True, b"ab\n"),
        (1, True, b"b\n"),
        (1, False, b"b\n"),
        (2, False, b"\n"),
        (3, True, b""),
        (4, False, b"\n"),
        (5, False, b""),
    ],
)
def test_the_rest_of_a_line(written: int, within_line: bool, rest: bytes) -> None:
    assert _rest_of_line(b"ab\nc\n", written, within_line=within_line) == rest
