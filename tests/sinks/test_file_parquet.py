"""Parquet files of the file sink, read by the library that everybody reads them with."""

# ruff: noqa: ASYNC240 - each test is about what is on the disk, and nothing else runs meanwhile

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from eventbus.sdk import DELIVERED, Event, Failure, Fault, Message, Rejected, Retry, Sink, Unreachable
from eventbus.sinks.file import FileOptions, FileSink
from eventbus.testing import Changes, PlainEncoder, Received, SinkContract, SinkOutageContract
from tests.sinks.test_contract_http_file import FileHarness

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def changes() -> Changes:
    return Changes()


def make_sink(path: Path, **options: Any) -> FileSink:
    written = {"path": path, "format": "parquet"} | options
    return FileSink("archive", FileOptions.model_validate(written))


def encoded(sink: FileSink, *events: Event) -> list[Message]:
    messages = [sink.encode(event, PlainEncoder()) for event in events]
    return [message for message in messages if isinstance(message, Message)]


async def test_a_batch_is_a_file_with_columns_to_look_for(tmp_path: Path, changes: Changes) -> None:
    """Types are the same in every file, whatever is missing in it."""
    change = changes.change("a", text="é")
    change.document_key = bson.encode({"_id": 7.0})
    drop = Event(token="82", operation="dropDatabase", database="shop", collection="")
    sink = make_sink(tmp_path / "orders.parquet", compression="gzip")
    await sink.open()
    for event in (change, drop):
        assert await sink.send(encoded(sink, event)) == [DELIVERED]
    await sink.close()
    first, second = sorted(tmp_path.glob("*"))[-2:]
    assert first.name.startswith("orders.2")
    assert first.suffix == ".parquet"
    table = parquet.read_table(first)
    assert table.schema == parquet.read_table(second).schema
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    [row] = table.to_pylist()
    assert row == {
        "id": change.id,
        "operation": "update",
        "database": "shop",
        "collection": "orders",
        "document_key": '{"_id":7}',
        "time": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) + timedelta(milliseconds=1),
        "clustertime": "1700000000.1",
        "event": PlainEncoder().encode(change).decode(),
    }
    [row] = parquet.read_table(second).to_pylist()
    missing = {name for name, value in row.items() if value is None}
    assert missing == {"collection", "document_key", "time", "clustertime"}
    assert parquet.read_metadata(first).row_group(0).column(0).compression == "GZIP"


async def test_the_oldest_files_are_removed(tmp_path: Path, changes: Changes) -> None:
    """And no file of another name."""
    (tmp_path / "other.20200101T000000Z-0000.parquet").write_bytes(b"")
    sink = make_sink(tmp_path / "orders.parquet", rotate_keep=2)
    events = changes.distinct(4)
    for event in events:
        assert await sink.send(encoded(sink, event)) == [DELIVERED]
    await sink.close()
    tables = [parquet.read_table(file) for file in sorted(tmp_path.glob("orders.*.parquet"))]
    assert [table["id"].to_pylist() for table in tables] == [[event.id] for event in events[2:]]
    assert (tmp_path / "other.20200101T000000Z-0000.parquet").exists()


async def test_there_is_one_writer(tmp_path: Path, changes: Changes) -> None:
    """The other waits until it is gone; what a killed one has left is removed."""
    path = tmp_path / "orders.parquet"
    one, other = make_sink(path), make_sink(path)
    (tmp_path / ".orders.parquet.part").write_bytes(b"half")
    await one.open()
    assert not (tmp_path / ".orders.parquet.part").exists()
    with pytest.raises(Unreachable, match="another process or sink writes to it"):
        await other.open()
    [outcome] = await other.send(encoded(other, changes.change("a")))
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAVAILABLE
    await one.close()
    assert await other.send(encoded(other, changes.change("a"))) == [DELIVERED]
    await other.close()


async def test_what_is_no_text_is_refused(tmp_path: Path, changes: Changes) -> None:
    class Binary(PlainEncoder):
        def encode(self, event: Event) -> bytes:
            return b"\xff"

    made = make_sink(tmp_path / "orders.parquet").encode(changes.change("a"), Binary())
    assert isinstance(made, Rejected)
    assert made.kind is Failure.ENCODING


@pytest.mark.parametrize(
    "options",
    [
        {"path": "orders.jsonl", "format": "parquet"},
        {"path": "orders.parquet", "format": "parquet", "rotate_size": "1MiB"},
        {"path": "orders.parquet", "format": "parquet", "rotate_every": "1h"},
        {"path": "orders.parquet", "format": "parquet", "compression": "lz5"},
        {"path": "orders.jsonl", "compression": "zstd"},
        {"path": "orders.jsonl", "rotate_every": "0s"},
    ],
)
async def test_bad_options_are_errors_of_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FileOptions.model_validate(options)


async def test_the_extra_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, when the configuration is read and not when the first event comes."""
    monkeypatch.setattr("eventbus.sinks.file.sink.find_spec", lambda _: None)
    with pytest.raises(ValidationError, match=r"install eventbus\[parquet\]"):
        FileOptions.model_validate({"path": "orders.parquet", "format": "parquet"})


class ParquetHarness(FileHarness):
    """The same with a file for each batch."""

    def make_sink(self) -> Sink:
        options = {"path": self._directory / "events.parquet", "format": "parquet"} | self._options
        return FileSink("archive", FileOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        files = sorted(self._directory.glob("*.parquet"))
        rows = [row for file in files for row in parquet.read_table(file).to_pylist()]
        return [Received(row["id"], row["event"].encode()) for row in rows]


class TestParquet(SinkContract, SinkOutageContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> ParquetHarness:
        return ParquetHarness(tmp_path / "archive", fsync="never")
