"""The file sink: what is in the file after every kind of fault, and how it is rotated."""

# ruff: noqa: ASYNC240 - each test is about what is on the disk, and nothing else runs meanwhile

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Event,
    Failure,
    Fault,
    Message,
    Outcome,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.sinks.file import FileOptions, FileSink
from eventbus.sinks.file.rotation import next_name, rotated_names
from eventbus.testing import Changes, PlainEncoder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def changes() -> Changes:
    return Changes()


def make_sink(path: Path, **options: Any) -> FileSink:
    return FileSink("archive", FileOptions.model_validate({"path": path} | options))


def encoded(sink: FileSink, events: Sequence[Event]) -> list[Message]:
    messages = [sink.encode(event, PlainEncoder()) for event in events]
    assert all(isinstance(message, Message) for message in messages)
    return [message for message in messages if isinstance(message, Message)]


async def send(sink: FileSink, events: Sequence[Event]) -> Outcome:
    """Send as one batch; all messages of a batch have the same outcome."""
    outcomes = await sink.send(encoded(sink, events))
    assert len(outcomes) == len(events)
    assert len(set(outcomes)) == 1
    return outcomes[0]


def ids(*paths: Path) -> list[str]:
    """The ids of the events in the files, each of which must consist of whole lines."""
    contents = [path.read_bytes() for path in paths]
    assert all(content.endswith(b"\n") for content in contents)
    return [json.loads(line)["id"] for content in contents for line in content.splitlines()]


def rotated(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*"))


def assert_unavailable(outcome: Outcome, text: str) -> None:
    assert isinstance(outcome, Retry), outcome
    assert outcome.fault is Fault.UNAVAILABLE
    assert text in outcome.reason


async def test_batches_are_appended_to_what_is_there(path: Path, changes: Changes) -> None:
    events = changes.distinct(6)
    for part in (events[:2], events[2:6]):
        sink = make_sink(path)
        await sink.open()
        assert await send(sink, part) == DELIVERED
        await sink.close()
    assert ids(path) == [event.id for event in events]
    assert path.stat().st_mode & 0o007 == 0, "not for everybody to read"


@pytest.mark.parametrize(("fsync", "count"), [("batch", 1), ("never", 0)])
async def test_delivered_means_on_the_disk_unless_told_otherwise(
    path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch, fsync: str, count: int
) -> None:
    sink = make_sink(path, fsync=fsync)
    await sink.open()
    synced: list[int] = []
    real = os.fsync

    def note(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    assert await send(sink, changes.distinct(3)) == DELIVERED
    assert synced == [path.stat().st_size] * count
    await sink.close()


@pytest.mark.parametrize("half", [b"{", b'{"id":"82', b'{"id":"' + b"x" * 300_000])
@pytest.mark.parametrize("lines", [0, 1, 3])
async def test_a_half_line_of_a_killed_process_is_cut_off(
    path: Path, changes: Changes, lines: int, half: bytes
) -> None:
    """Its event was never acknowledged, so it comes again."""
    whole = b"".join(b'{"id":"%d","text":"%s"}\n' % (number, b"y" * 70_000) for number in range(lines))
    path.write_bytes(whole + half)
    sink = make_sink(path)
    await sink.open()
    assert path.read_bytes() == whole
    (event,) = changes.distinct(1)
    assert await send(sink, [event]) == DELIVERED
    await sink.close()
    assert ids(path) == [*map(str, range(lines)), event.id]


async def test_a_file_that_is_not_ours_is_not_cut(path: Path) -> None:
    path.write_text("some notes\nwithout an end")
    with pytest.raises(ConfigurationError, match="not the beginning of a JSON object"):
        await make_sink(path).open()
    assert path.read_text() == "some notes\nwithout an end"


async def test_rotation_loses_nothing_and_keeps_the_order(path: Path, changes: Changes) -> None:
    sink = make_sink(path, rotate_size="1KiB")
    await sink.open()
    events = changes.alternating(120, "a", "b")
    for start in range(0, len(events), 4):
        assert await send(sink, events[start : start + 4]) == DELIVERED
    await sink.close()
    assert len(rotated(path)) > 10
    assert all(file.stat().st_size <= 1024 for file in [*rotated(path), path])
    assert ids(*rotated(path), path) == [event.id for event in events]
    assert rotated_names(path.name, [file.name for file in rotated(path)]) == [f.name for f in rotated(path)]


async def test_a_batch_larger_than_a_file_is_written_in_one_piece(path: Path, changes: Changes) -> None:
    sink = make_sink(path, rotate_size="10B")
    await sink.open()
    for _ in range(2):
        assert await send(sink, changes.distinct(3)) == DELIVERED
    await sink.close()
    assert [len(ids(file)) for file in [*rotated(path), path]] == [3, 3]


async def test_only_rotated_files_of_this_sink_are_ever_deleted(path: Path, changes: Changes) -> None:
    others = [
        path.with_name(name)
        for name in ("events.jsonl.gz", "events.jsonl.1", "x.events.jsonl.20260101T000000Z-0000")
    ]
    for other in others:
        other.write_text("mine")
    sink = make_sink(path, rotate_size="1B", rotate_keep=2)
    await sink.open()
    events = changes.distinct(7)
    for event in events:
        assert await send(sink, [event]) == DELIVERED
    await sink.close()
    kept = [file for file in rotated(path) if file not in others]
    assert ids(*kept, path) == [event.id for event in events[-3:]]
    assert all(other.read_text() == "mine" for other in others)


def test_names_of_rotated_files_are_ordered_whatever_the_clock_does() -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    assert next_name("e", [], now) == "e.20260301T120000Z-0000"
    present = ["e.20260301T120000Z-0009", "e.20260301T115959Z-0077", "e", "ee.20990101T000000Z-0000"]
    assert next_name("e", present, now) == "e.20260301T120000Z-0010"
    later = ["e.20260301T130000Z-9999", "e.20260301T130000Z-10000"]
    assert next_name("e", later, now) == "e.20260301T130000Z-10001"
    assert rotated_names("e", reversed(later)) == later


async def test_a_file_that_was_renamed_or_removed_is_begun_anew(path: Path, changes: Changes) -> None:
    """As logrotate does it, with nobody telling the daemon."""
    sink = make_sink(path)
    await sink.open()
    events = changes.distinct(4)
    assert await send(sink, events[:1]) == DELIVERED
    moved = path.rename(path.with_name("moved"))
    assert await send(sink, events[1:2]) == DELIVERED
    path.unlink()
    assert await send(sink, events[2:3]) == DELIVERED
    os.truncate(path, 0)
    assert await send(sink, events[3:]) == DELIVERED
    await sink.close()
    assert ids(moved, path) == [events[0].id, events[3].id]


async def test_one_writer_only(path: Path, changes: Changes) -> None:
    """A second one would cut the first one's lines."""
    first, second = make_sink(path), make_sink(path)
    await first.open()
    with pytest.raises(Unreachable, match="another process or sink writes to it"):
        await second.open()
    assert await send(first, changes.distinct(1)) == DELIVERED
    await first.close()
    await second.open()
    await second.close()


async def test_a_missing_directory_is_waited_for(tmp_path: Path, changes: Changes) -> None:
    """It may be a mount that is not there yet; making it would hide that."""
    sink = make_sink(tmp_path / "mount" / "events.jsonl")
    with pytest.raises(Unreachable, match="No such file or directory"):
        await sink.open()
    assert not (tmp_path / "mount").exists()
    (tmp_path / "mount").mkdir()
    await sink.open()
    assert await send(sink, changes.distinct(1)) == DELIVERED
    await sink.close()


@pytest.mark.parametrize("wrong", ["/dev/full", "/dev/null", "/dev"])
async def test_a_path_that_is_no_file_is_a_mistake(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{wrong}: not a regular file"):
        await make_sink(Path(wrong)).open()


async def test_a_failed_fsync_takes_the_batch_back(
    path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one, the kernel may call pages clean that are not on the disk: they must be written again."""
    sink = make_sink(path)
    await sink.open()
    events = changes.distinct(4)
    assert await send(sink, events[:2]) == DELIVERED

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        assert_unavailable(await send(sink, events[2:]), "Input/output error")
        assert ids(path) == [event.id for event in events[:2]]
    assert await send(sink, events[2:]) == DELIVERED
    await sink.close()
    assert ids(path) == [event.id for event in events]


async def test_sends_at_once_do_not_mix(path: Path, changes: Changes) -> None:
    sink = make_sink(path, rotate_size="64KiB")
    await sink.open()
    batches = [changes.distinct(200) for _ in range(12)]
    async with anyio.create_task_group() as tasks:
        for batch in batches:
            tasks.start_soon(send, sink, batch)
    await sink.close()
    found = ids(*rotated(path), path)
    written = [found[start : start + 200] for start in range(0, len(found), 200)]
    assert sorted(written) == sorted([event.id for event in batch] for batch in batches)


def test_a_body_with_a_line_break_is_refused(path: Path, changes: Changes) -> None:
    class Pretty(PlainEncoder):
        def encode(self, event: Event) -> bytes:
            return b'{\n  "id": 1\n}'

    made = make_sink(path).encode(changes.change("a"), Pretty())
    assert isinstance(made, Rejected)
    assert "line break" in made.reason
    assert made.kind is Failure.ENCODING


def test_traits_and_options(path: Path) -> None:
    traits = make_sink(path).traits
    assert (traits.lanes, traits.concurrency, traits.keeps_order, traits.max_batch) == (1, 1, True, 1000)
    chosen = FileOptions.model_validate({"path": "x", "rotate_size": "1MiB"})
    assert (chosen.rotate_size, chosen.rotate_keep, chosen.fsync) == (1 << 20, None, "batch")
    for bad in (
        {"rotate_size": "0B"},
        {"rotate_keep": 0},
        {"fsync": "always"},
        {"compress": True},
        {"path": None},
    ):
        with pytest.raises(ValidationError, match=next(iter(bad))):
            FileOptions.model_validate({"path": "x"} | bad)


async def test_a_new_file_is_begun_when_its_time_has_come(path: Path, changes: Changes) -> None:
    """Judged by the last write, so that a restart forgets nothing; an empty file is not rotated."""
    events = changes.distinct(3)
    for number, event in enumerate(events):
        sink = make_sink(path, rotate_every="1h")
        await sink.open()
        assert await send(sink, [event]) == DELIVERED
        await sink.close()
        if number == 0:
            an_hour_ago = path.stat().st_mtime - 3600
            os.utime(path, (an_hour_ago, an_hour_ago))
    assert [ids(file) for file in rotated(path)] == [[events[0].id]]
    assert ids(path) == [events[1].id, events[2].id]
