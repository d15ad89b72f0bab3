"""What is SQLite's own: one daemon to a file, a file that survives SIGKILL, and faults of the disk."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import anyio
import pytest

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Position
from eventbus.state.access import Access
from eventbus.state.sqlite import SqliteStore
from eventbus.state.store import Save
from tests.state.letters import found, letter

pytestmark = pytest.mark.anyio

SAVER = """
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
        save = Save(lease, {"one": Position(token), "two": Position(token)})
        assert await store.save([save], lease_secs=600) == [True]
        event = Event(token=token, operation="insert", database="d", collection="c", document={"n": number})
        await store.park([DeadLetter("s", "one", event, "why", body=b"x" * 100_000)])
        print(number, flush=True)

anyio.run(main, sys.argv[1])
"""


class Daemon:
    """Another process that has the file open and saves without end."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE)
        assert self.line() == "open"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def kill(self) -> list[str]:
        """SIGKILL it, and return what it had still said; a second time does nothing."""
        if self.process.returncode is not None:
            return []
        self.process.send_signal(signal.SIGKILL)
        rest, _ = self.process.communicate()
        return rest.decode().split()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def daemon(path: Path) -> Iterator[Daemon]:
    with ExitStack() as stack:
        daemon = Daemon(path)
        stack.callback(daemon.kill)
        yield daemon


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, instance="a")
    await store.open()
    yield store
    await store.close()


async def refused(store: SqliteStore) -> str:
    """Why the store cannot be opened."""
    with pytest.raises(ConfigurationError) as caught:
        await store.open()
    return str(caught.value)


def modes_in(directory: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in directory.iterdir()}


async def test_a_second_daemon_is_refused_while_the_first_lives(path: Path, daemon: Daemon) -> None:
    second = SqliteStore(path, instance="b")
    said = await refused(second)
    assert f"{path} is in use by another daemon (process {daemon.process.pid})" in said
    assert "\n" not in said

    daemon.kill()
    await second.open()
    assert await second.acquire("s", lease_secs=600, reclaim=False) is None
    await second.close()


async def test_a_second_store_in_the_same_process_is_refused(path: Path, store: SqliteStore) -> None:
    second = SqliteStore(path, instance="b")
    await refused(second)
    link = path.with_name("link.db")
    link.symlink_to(path)
    await refused(SqliteStore(link, instance="b"))
    await store.close()
    await second.open()
    await second.close()


async def test_the_file_is_whole_after_sigkill_in_the_midst_of_saves(path: Path) -> None:
    rng = random.Random(11)
    for round_number in range(4):
        path = path.with_name(f"state-{round_number}.db")
        daemon = Daemon(path)
        said = [daemon.line() for _ in range(rng.randrange(1, 25))]
        said += daemon.kill()

        store = SqliteStore(path, instance="a")
        await store.open()
        positions = await store.positions("s")
        parked = await found(store)
        await store.close()
        acknowledged = int(said[-1])
        assert positions["one"] == positions["two"]
        assert acknowledged <= int(positions["one"].token) <= acknowledged + 1
        assert {f"{number:08d}" for number in range(1, acknowledged + 1)} <= {
            one.letter.event.token for one in parked
        }
        assert all(one.letter.body == b"x" * 100_000 for one in parked)


async def test_a_killed_daemons_successor_of_the_same_name_reclaims_its_lease(
    path: Path, daemon: Daemon
) -> None:
    daemon.kill()
    store = SqliteStore(path, instance="a")
    await store.open()
    assert await store.acquire("s", lease_secs=600, reclaim=True)
    await store.close()


async def test_a_full_disk_is_waited_for_and_nothing_is_half_written(store: SqliteStore) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    await store.save([Save(lease, {"r": Position("1")})], lease_secs=600)

    def limit(pages: int) -> None:
        connection = store._file._connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {pages}")

    limit(1)  # SQLite raises it to what the file has already
    with pytest.raises(Unreachable, match="full"):
        await store.park([letter(number, body=b"x" * 1_000_000) for number in range(3)])
    many = {f"route-{number}": Position("2") for number in range(2000)}
    with pytest.raises(Unreachable, match="full"):
        await store.save([Save(lease, {"r": Position("2"), **many})], lease_secs=600)
    assert await found(store) == []
    assert await store.positions("s") == {"r": Position("1")}

    limit(1_000_000)
    await store.park([letter(1, body=b"x" * 1_000_000)])
    assert len(await found(store)) == 1
    assert await store.save([Save(lease, {"r": Position("3")})], lease_secs=600) == [True]


async def test_a_commit_is_on_disk_before_it_returns(store: SqliteStore) -> None:
    connection = store._file._connection
    assert connection is not None
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_a_save_that_fails_half_way_writes_nothing(store: SqliteStore) -> None:
    leases = [await store.acquire(name, lease_secs=600, reclaim=False) for name in ("s", "t")]
    saves = [
        Save(lease, {"r": Position(token)})
        for lease, token in zip(leases, ["1", "\ud800"], strict=True)
        if lease is not None
    ]
    with pytest.raises(UnicodeEncodeError):
        await store.save(saves, lease_secs=600)
    assert await store.positions("s") == {}
    assert await store.save(saves[:1], lease_secs=600) == [True]


async def test_somebody_elses_transaction_is_waited_for(path: Path, store: SqliteStore) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    assert store._file._connection is not None
    store._file._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(path, isolation_level=None)) as person:
        person.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match="locked"):
            await store.save([Save(lease, {})], lease_secs=600)
        person.execute("ROLLBACK")
    assert await store.save([Save(lease, {})], lease_secs=600) == [True]


async def test_state_can_be_looked_at_while_a_daemon_has_it(path: Path, store: SqliteStore) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    await store.save([Save(lease, {"r": Position("1")})], lease_secs=600)
    await store.park([letter(1)])
    look = SqliteStore(path, instance="cli", access=Access.READ)
    await look.open()
    assert await look.positions("s") == {"r": Position("1")}
    assert len(await found(look)) == 1
    with pytest.raises(Unreachable, match="readonly"):
        await look.park([letter(2)])
    await store.save([Save(lease, {"r": Position("2")})], lease_secs=600)
    assert await look.positions("s") == {"r": Position("2")}
    await look.close()


async def test_state_can_be_looked_at_when_no_daemon_runs(path: Path, store: SqliteStore) -> None:
    await store.park([letter(1)])
    await store.close()
    look = SqliteStore(path, instance="cli", access=Access.READ)
    await look.open()
    assert len(await found(look)) == 1
    await look.close()


async def test_there_must_be_something_to_look_at(path: Path) -> None:
    said = await refused(SqliteStore(path, instance="cli", access=Access.READ))
    assert str(path) in said
    assert list(path.parent.iterdir()) == []


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
    before = await anyio.Path(path).read_bytes()
    assert "another program" in await refused(SqliteStore(path, instance="a"))
    assert await anyio.Path(path).read_bytes() == before


async def test_a_state_of_a_newer_version_is_left_alone(path: Path, store: SqliteStore) -> None:
    await store.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    assert "newer eventbus" in await refused(SqliteStore(path, instance="a"))


async def test_a_path_that_cannot_be_a_state_file_is_refused_with_its_name(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database" * 1000)
    for path in (garbage, tmp_path, tmp_path / "missing" / "state.db"):
        assert str(path) in await refused(SqliteStore(path, instance="a"))


async def test_a_refused_open_gives_the_lock_back(path: Path) -> None:
    await anyio.Path(path).write_bytes(b"not a database" * 1000)
    first, second = SqliteStore(path, instance="a"), SqliteStore(path, instance="b")
    await refused(first)
    await anyio.Path(path).unlink()
    await second.open()
    assert await second.positions("s") == {}
    await second.close()


async def test_closing_gives_the_lock_back_even_when_cancelled(path: Path, store: SqliteStore) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.close()
    again = SqliteStore(path, instance="b")
    await again.open()
    await again.close()


async def test_the_file_is_for_its_owner_only_and_its_name_may_be_odd(tmp_path: Path) -> None:
    path = tmp_path / "st ate?mode=ro#%41.db"
    store = SqliteStore(path, instance="a")
    await store.open()
    await store.park([letter(1)])
    modes = modes_in(tmp_path)
    assert path.name in modes
    assert set(modes.values()) == {"0o600"}
    await store.close()
