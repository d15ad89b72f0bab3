"""The file sink in processes of its own that are killed, or that run out of disk."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

WRITER = """
import sys, anyio
from eventbus.sdk import DELIVERED, Event
from eventbus.sinks.file import FileOptions, FileSink
from eventbus.testing import PlainEncoder

def event(number):
    text = "x" * (number * 7919 % 20_000)
    return Event(token=f"{number:08d}", operation="insert", database="d", collection="c",
                 document_key={"_id": number}, document={"number": number, "text": text})

async def main(path, first):
    kind = {"format": "parquet"} if path.endswith(".parquet") else {"rotate_size": "3MiB"}
    sink = FileSink("archive", FileOptions.model_validate({"path": path} | kind))
    await sink.open()
    while True:
        messages = [sink.encode(event(number), PlainEncoder()) for number in range(first, first + 100)]
        assert await sink.send(messages) == [DELIVERED] * 100
        first += 100
        print(first, flush=True)

anyio.run(main, sys.argv[1], int(sys.argv[2]))
"""

FILLER = """
import resource, sys, anyio
from eventbus.sdk import Event
from eventbus.sinks.file import FileOptions, FileSink
from eventbus.testing import Changes, PlainEncoder

async def main(path, mode):
    sink = FileSink("archive", FileOptions.model_validate({"path": path}))
    await sink.open()
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_001, resource.RLIM_INFINITY))
    changes, sent = Changes(), []
    while True:
        events = [changes.change("a", text="x" * 1000) for _ in range(100)]
        messages = [sink.encode(event, PlainEncoder()) for event in events]
        outcomes = await sink.send(messages)
        if str(outcomes[0]) != "Delivered()":
            break
        sent += events
    print(outcomes[0].fault, outcomes[0].reason)
    before = open(path, "rb").read()
    assert before.endswith(b"}\\n") and before.count(b"\\n") == len(sent)
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        import os
        os.unlink(path + ".ballast")
    assert {str(outcome) for outcome in await sink.send(messages)} == {"Delivered()"}
    await sink.close()
    import json
    found = [json.loads(line)["id"] for line in open(path, "rb")]
    assert found == [event.id for event in sent + events], (len(found), len(sent))

anyio.run(main, sys.argv[1], sys.argv[2])
"""


def test_no_half_line_and_nothing_acknowledged_is_lost_after_sigkill(tmp_path: Path) -> None:
    """Killed at random moments, in writes, fsyncs and rotations; every line parses, in order."""
    path = tmp_path / "events.jsonl"
    luck = random.Random(4711)
    acknowledged = 0
    for _ in range(8):
        acknowledged = max(acknowledged, _write_and_kill(path, acknowledged, luck))
        numbers = _numbers(path)
        assert _without_repeats(numbers)[:acknowledged] == list(range(acknowledged))
    assert acknowledged >= 800
    _write_and_kill(path, acknowledged, luck)
    assert len(list(tmp_path.iterdir())) > 3, "no rotation was under way"


def test_no_half_file_and_nothing_acknowledged_is_lost_after_sigkill(tmp_path: Path) -> None:
    """Killed at random moments: every Parquet file is whole, in order, and what was left hidden is gone."""
    path = tmp_path / "events.parquet"
    luck = random.Random(4711)
    acknowledged = 0
    for _ in range(5):
        acknowledged = max(acknowledged, _write_and_kill(path, acknowledged, luck))
        tables = [parquet.read_table(file) for file in sorted(tmp_path.glob("*.parquet"))]
        events = [json.loads(text) for table in tables for text in table["event"].to_pylist()]
        numbers = _without_repeats([event["document"]["number"] for event in events])
        assert numbers[:acknowledged] == list(range(acknowledged))
    assert acknowledged >= 500


def _write_and_kill(path: Path, first: int, luck: random.Random) -> int:
    """How far the writer had said that it was."""
    command = [sys.executable, "-c", WRITER, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(luck.randint(1, 8))]
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(luck.uniform(0, 0.02))
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    whole = [line for line in said if line.endswith("\n")]
    return int(whole[-1])


def _numbers(path: Path) -> list[int]:
    """The numbers of the events in the order of writing; the very last line may be half."""
    files = [*sorted(path.parent.glob(path.name + ".*")), *([path] if path.exists() else [])]
    contents = [file.read_bytes() for file in files]
    assert all(content.endswith(b"\n") for content in contents[:-1])
    lines = b"".join(contents).split(b"\n")
    return [json.loads(line)["document"]["number"] for line in lines[:-1]]


def _without_repeats(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def test_a_file_that_may_not_grow_leaves_no_half_line(tmp_path: Path) -> None:
    """A write that is cut short, then refused: the batch is taken back and can be sent again."""
    path = tmp_path / "events.jsonl"
    filled = subprocess.run(
        [sys.executable, "-c", FILLER, str(path), "limit"], capture_output=True, text=True, check=False
    )
    assert filled.returncode == 0, filled.stderr
    assert filled.stdout == f"unavailable {path}: File too large\n"


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The same on a file system of one megabyte, where this machine lets us have one."""
    unshare = shutil.which("unshare")
    path, ballast = tmp_path / "events.jsonl", tmp_path / "events.jsonl.ballast"
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if unshare is None or subprocess.run([*apart, mount], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here, so no file system of our own to fill")
    script = f'{mount} && head -c 500000 /dev/zero > {ballast} && exec "$0" -c "$1" {path} full'
    filled = subprocess.run(
        [*apart, script, sys.executable, FILLER], capture_output=True, text=True, check=False
    )
    assert filled.returncode == 0, filled.stderr
    assert filled.stdout == f"unavailable {path}: No space left on device\n"
