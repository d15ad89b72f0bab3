"""A state file that a daemon has is written by people's commands, too, and an old file becomes a new one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Failure, Position, Snapshot
from eventbus.state.access import Access
from eventbus.state.letters import key_id
from eventbus.state.operations import Operation, OperationKind, OperationStatus
from eventbus.state.sqlite import SqliteStore
from eventbus.state.sqlite_search import Search
from eventbus.state.store import LetterLimit, LetterQuery, LetterStatus, Save
from tests.state.letters import event, found, letter

pytestmark = pytest.mark.anyio

DAEMON = """
import sys, anyio
from eventbus.model import DeadLetter, Event, Position
from eventbus.state.sqlite import SqliteStore
from eventbus.state.store import Save

async def main(path):
    store = SqliteStore(path, instance="a")
    await store.open()
    lease = await store.acquire("s", lease_secs=600, reclaim=True)
    print("open", flush=True)
    number = 0
    while True:
        number += 1
        token = f"{number:08d}"
        assert await store.save([Save(lease, {"one": Position(token)})], lease_secs=600) == [True]
        event = Event(token=token, operation="insert", database="d", collection="c", key=token.encode())
        await store.park([DeadLetter("s", "one", event, "why")])

anyio.run(main, sys.argv[1])
"""

FORMAT_1 = """
    PRAGMA application_id = 0x65766275;
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL;
    CREATE TABLE subscriptions (
        name TEXT PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL, lease_until INTEGER,
        updated_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE positions (
        subscription TEXT NOT NULL, route TEXT NOT NULL, token TEXT NOT NULL, kind TEXT NOT NULL,
        cluster_seconds INTEGER, cluster_increment INTEGER, extra BLOB, PRIMARY KEY (subscription, route)
    ) WITHOUT ROWID;
    CREATE TABLE dead_letters (
        id TEXT PRIMARY KEY, subscription TEXT NOT NULL, route TEXT NOT NULL, event_id TEXT NOT NULL,
        operation TEXT NOT NULL, database TEXT NOT NULL, collection TEXT NOT NULL, document_key BLOB,
        key_hash INTEGER NOT NULL, token TEXT NOT NULL, cluster_seconds INTEGER, cluster_increment INTEGER,
        size INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, errors TEXT NOT NULL,
        status TEXT NOT NULL, created_at INTEGER NOT NULL, payload_bytes INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE dead_letter_payloads (
        id TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, number)
    );
    CREATE INDEX dead_letters_by_key ON dead_letters (subscription, route, key_hash);
    CREATE INDEX dead_letters_by_token ON dead_letters (subscription, route, token, event_id);
    CREATE INDEX dead_letters_by_creation ON dead_letters (created_at, token, id);
"""
"""What the first version of eventbus made, word for word."""
COLUMNS_1 = (
    "id, subscription, route, event_id, operation, database, collection, document_key, key_hash, token, "
    "cluster_seconds, cluster_increment, size, reason, attempts, errors, status, created_at, payload_bytes"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """A daemon's."""
    store = SqliteStore(path, instance="a")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def command(path: Path, store: SqliteStore) -> AsyncIterator[SqliteStore]:
    """A person's, beside it."""
    command = SqliteStore(path, instance="cli", access=Access.OPERATE)
    await command.open()
    yield command
    await command.close()


@pytest.fixture
def busy_daemon(path: Path) -> Iterator[None]:
    """Another process that saves and parks without end."""
    process = subprocess.Popen([sys.executable, "-c", DAEMON, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield
        assert process.poll() is None  # it never failed
    finally:
        process.kill()
        process.communicate()


async def test_commands_write_what_operators_want_beside_a_daemon(
    store: SqliteStore, command: SqliteStore
) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    await store.park([letter(1), letter(2)])
    await command.set_paused("s", "hook", "why")
    await command.add_operation(Operation("op", OperationKind.REPLAY, "s", "hook"))
    assert await command.discard_letters(LetterQuery(match={"event_id": event(1).id}), by="me") == 1
    assert await command.hold_letters(LetterQuery(match={"event_id": event(2).id}), hold=True) == 1
    control = (await store.controls({"s"}))["s"]
    assert control.paused == {"hook": "why"}
    assert [operation.id for operation in control.operations] == ["op"]
    assert [(one.status, one.legal_hold) for one in await found(store)] == [
        ("discarded", False),
        ("parked", True),
    ]
    assert await store.save([Save(lease, {"hook": Position("1")})], lease_secs=600) == [True]
    assert await command.cancel_operation("op")
    assert (await store.find_operations())[0].status is OperationStatus.CANCELLED


async def test_commands_write_while_a_daemon_writes_without_end(path: Path, busy_daemon: None) -> None:
    command = SqliteStore(path, instance="cli", access=Access.OPERATE)
    await command.open()
    for number in range(50):
        await command.set_paused("s", f"route-{number}", "why")
        await command.add_operation(Operation(f"op-{number}", OperationKind.REPLAY, "s", "one"))
        await command.discard_letters(LetterQuery("s", statuses=[LetterStatus.PARKED]), by="me")
    control = (await command.controls({"s"}))["s"]
    assert (len(control.paused), len(control.operations)) == (50, 50)
    assert (await command.count_letters(LetterQuery(statuses=[LetterStatus.DISCARDED]))).letters > 0
    await command.close()


async def test_commands_write_when_no_daemon_runs(path: Path, store: SqliteStore) -> None:
    await store.close()
    command = SqliteStore(path, instance="cli", access=Access.OPERATE)
    await command.open()
    await command.set_paused("s", "hook", "why")
    await store.open()  # a daemon may start meanwhile
    assert (await store.controls({"s"}))["s"].paused == {"hook": "why"}
    await command.close()


async def test_beside_a_daemon_only_an_operation_can_be_run(store: SqliteStore, command: SqliteStore) -> None:
    with pytest.raises(ConfigurationError, match="only a daemon runs s on the state file"):
        await command.acquire("s", lease_secs=600, reclaim=True)
    assert await store.acquire("s", lease_secs=600, reclaim=False) is not None
    lease = await command.acquire("s@op", lease_secs=600, reclaim=False)
    assert lease is not None
    assert await command.save([Save(lease, {"hook@op": Position("1")})], lease_secs=600) == [True]
    assert await store.acquire("s@op", lease_secs=600, reclaim=False) is None


async def test_a_command_makes_no_file(path: Path) -> None:
    command = SqliteStore(path, instance="cli", access=Access.OPERATE)
    with pytest.raises(ConfigurationError, match="there is no state file"):
        await command.open()
    assert list(path.parent.iterdir()) == []


async def test_a_commands_write_is_on_disk_before_it_returns(command: SqliteStore) -> None:
    assert command._file._connection is not None
    assert command._file._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_who_only_looks_can_write_nothing(path: Path, store: SqliteStore) -> None:
    look = SqliteStore(path, instance="cli", access=Access.READ)
    await look.open()
    with pytest.raises(Unreachable, match="readonly"):
        await look.set_paused("s", "hook", "why")
    await look.close()


# An older file


async def old_file(path: Path) -> None:
    """A file of the first format with three letters: large, plain, and replayed."""
    recent = SqliteStore(path.with_name("recent.db"), instance="a")
    await recent.open()
    long = letter(2, event=event(2, key=b"long" * 1000))
    await recent.park([letter(1, body=bytes(9_000_000)), long, letter(3)])
    await recent.close()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMAT_1)
        old.execute("ATTACH ? AS recent", (str(path.with_name("recent.db")),))
        old.execute(f"INSERT INTO dead_letters ({COLUMNS_1}) SELECT {COLUMNS_1} FROM recent.dead_letters")
        old.execute("INSERT INTO dead_letter_payloads SELECT * FROM recent.dead_letter_payloads")
        old.execute("UPDATE dead_letters SET status = 'replayed' WHERE event_id = ?", (event(3).id,))
        old.execute("INSERT INTO positions VALUES ('orders', 'hook', '82', 'event', 1, 2, NULL)")
        old.execute("INSERT INTO subscriptions VALUES ('orders', 'a', 7, 1, 1)")
        old.commit()


async def test_a_daemon_brings_an_older_file_up_to_date(path: Path) -> None:
    await old_file(path)
    store = SqliteStore(path, instance="a", limit=LetterLimit(3))
    await store.open()
    large, long, replayed = await found(store)
    assert large.letter.body == bytes(9_000_000)
    assert [one.status for one in (large, long, replayed)] == ["parked", "parked", "replayed"]
    assert (large.letter.kind, large.letter.config, large.legal_hold) == (Failure.REJECTED, "", False)
    keys = await store.held_keys("orders", "hook")
    assert {(key.key, key.first) for key in keys} == {
        (event(1).key, event(1).id),
        (b"long" * 1000, event(2).id),
    }
    await store.supersede_letters("orders", "hook", event(9, key=event(1).key))
    assert [one.superseded_by for one in await found(store)] == [event(9).id, None, None]
    assert await store.positions("orders") == {"hook": Position("82", cluster_time=(1, 2))}  # type: ignore[arg-type]
    lease = await store.acquire("orders", lease_secs=600, reclaim=False)
    assert lease is not None
    assert lease.epoch > 7
    with pytest.raises(Unreachable, match="holds 3 dead letters"):
        await store.park([letter(4)])
    await store.close()


async def test_an_updated_file_is_like_a_new_one(path: Path) -> None:
    await old_file(path)
    for one in (path, path.with_name("new.db")):
        store = SqliteStore(one, instance="a")
        await store.open()
        await store.close()
    schemas = []
    for one in (path, path.with_name("new.db")):
        with closing(sqlite3.connect(one)) as db:
            rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
            schemas.append({name: " ".join(sql.split()) for name, sql in rows})
            assert db.execute("PRAGMA user_version").fetchone() == (4,)
    assert schemas[0] == schemas[1]
    assert "dead_letters_by_key" not in schemas[0]


async def test_a_file_from_before_snapshots_is_brought_up_to_date(path: Path, store: SqliteStore) -> None:
    lease = await store.acquire("orders", lease_secs=600, reclaim=False)
    assert lease is not None
    await store.save([Save(lease, {"hook": Position("1")})], lease_secs=600)
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "ALTER TABLE positions DROP COLUMN snapshot; DROP TABLE gaps; PRAGMA user_version = 2;"
            "ALTER TABLE positions DROP COLUMN origin; ALTER TABLE positions DROP COLUMN committed"
        )
    await store.open()
    assert await store.positions("orders") == {"hook": Position("1")}
    moved = {"hook": Position("2", snapshot=Snapshot("s", read=1), committed="1")}
    assert await store.save([Save(lease, moved)], lease_secs=600) == [True]
    assert await store.positions("orders") == moved


async def test_an_update_that_is_interrupted_leaves_the_old_file(path: Path) -> None:
    await old_file(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "UPDATE dead_letter_payloads SET bytes = x'00' WHERE id = (SELECT max(id) FROM dead_letters)"
        )
        db.commit()
    with pytest.raises(Exception):  # noqa: B017  whatever BSON says of it
        await SqliteStore(path, instance="a").open()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert "key_id" not in [row[1] for row in db.execute("PRAGMA table_info(dead_letters)")]


@pytest.mark.parametrize("access", [Access.READ, Access.OPERATE])
async def test_only_the_daemon_updates_an_older_file(path: Path, access: Access) -> None:
    await old_file(path)
    before = await anyio.Path(path).read_bytes()
    with pytest.raises(ConfigurationError, match="start this version's daemon once, which updates it"):
        await SqliteStore(path, instance="cli", access=access).open()
    assert await anyio.Path(path).read_bytes() == before


# Plans


async def test_nothing_that_a_daemon_asks_looks_through_all_rows(store: SqliteStore) -> None:
    await store.park([letter(number, expire_after_secs=0.0) for number in range(10)])
    seen: list[str] = []
    connection = store._file._connection
    assert connection is not None
    connection.set_trace_callback(seen.append)
    await store.parked_after("orders", "hook", "")
    await store.held_keys("orders", "hook")
    await store.dead_key_hashes("orders", "hook")
    await store.supersede_letters("orders", "hook", event(99))
    await store.park_again([letter(1)], operation="op")
    await store.conclude_letters("orders", [("hook", event(1).id)], operation="op")
    await found(store, subscription="orders", routes=["hook"], statuses=[LetterStatus.PARKED])
    async for _ in store.find_letters(LetterQuery("orders"), by_token=True):
        pass
    await store.purge_letters()
    connection.set_trace_callback(None)
    asked = [sql for sql in seen if "dead_letters" in sql and not sql.startswith("--")]
    assert len(asked) > 15
    for sql in asked:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in plan if step.startswith(("SCAN dead", "USE TEMP"))], (sql, plan)


async def test_a_search_gives_the_thread_back_though_it_finds_nothing(store: SqliteStore) -> None:
    """Or a daemon's checkpoints would wait for a person's query."""
    await store.park([letter(number) for number in range(2500)])
    search = Search(LetterQuery(match={"reason": {"$regex": "nowhere"}}))
    stretches = [stretch async for stretch in store._stretches(search)]
    assert [len(stretch.rows) for stretch in stretches] == [0, 0, 0]


def test_a_keys_name_is_the_same_for_ever() -> None:
    """It is stored: another would hold other keys."""
    assert key_id(b"k").hex() == "61f5dc14830084d8dc2d1ebc02ef3dec"
