"""`eventbus status` and `top` beside a real daemon, beside none, and when things go wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from pymongo import MongoClient

from eventbus.cli import status
from eventbus.devservices import MongoService
from eventbus.model import ClusterTime, DeadLetter, Event, Position
from eventbus.sources.mongodb.tokens import high_water_mark
from eventbus.state.gaps import Gap
from eventbus.state.store import Save, Store
from tests.cli.command_line import Answer, CommandLine
from tests.e2e.daemon import DaemonProcess

HEAD = (
    "subscription ┃ route ┃ state ┃ owner ┃ lag_secs ┃ position_age_secs ┃ headroom_secs ┃ left_secs ┃ "
    "dead_letters ┃ gaps ┃ why ┃ next"
)
ALONE = f"""\
┃ {HEAD} ┃
│ orders │ hook │ paused │ │ │ │ │ │ 0 │ 0 │ counting (<who> <time>) │ eventbus resume -c <config> orders --route hook │
│ orders │ feed │ nobody runs it │ │ │ <n> │ │ │ 1 │ 1 │ │ eventbus run -c <config> │
│ products │ feed │ nobody runs it │ │ │ │ │ │ 0 │ 0 │ │ eventbus run -c <config> │
"""  # noqa: E501
RUNNING = f"""\
┃ {HEAD} ┃
│ orders │ hook │ waiting │ here │ <n> │ <n> │ <n> │ │ 0 │ 0 │ <reason> │ eventbus sink test -c <config> hook │
│ orders │ feed │ running │ here │ <n> │ <n> │ <n> │ │ 0 │ 0 │ │ │
│ products │ feed │ paused │ here │ <n> │ <n> │ <n> │ │ 0 │ 0 │ counting (<who> since <time>) │ eventbus resume -c <config> products │
"""  # noqa: E501


def _masked(answer: Answer) -> str:
    lines = [line for line in answer.text.splitlines() if line.startswith(("┃", "│"))]
    text = "".join(f"{line}\n" for line in lines)
    for pattern, name in (
        (r"by <who>", "<who>"),
        (r"-c \S+", "-c <config>"),
        (r"(?<=│ here │) .*?(?=│ 0 │ 0 │)", _numbers_masked),
        (r"(?<=nobody runs it │) .*?(?=│ \d │ \d │)", _numbers_masked),
        (r"127.0.0.1:1: cannot connect: .*?(?= │)", "<reason>"),
    ):
        text = re.sub(pattern, name, text)
    return text


def _numbers_masked(match: re.Match[str]) -> str:
    return re.sub(r"\d+", "<n>", match[0])


async def _orders_feed_has_been_somewhere(store: Store) -> None:
    lease = await store.acquire("orders", lease_secs=60.0, reclaim=True)
    assert lease is not None
    position = high_water_mark(ClusterTime(1_700_000_000, 1))
    await store.save([Save(lease, {"feed": position})], lease_secs=60.0)
    await store.release(lease)
    event = Event(token="82", id="e", operation="insert", database="shop", collection="orders")
    await store.park([DeadLetter("orders", "feed", event, "HTTP 422", 1)])
    await store.record_gap(Gap("orders", "feed", Position("82"), Position("83"), "oldest", "the oplog"))
    await store.set_paused("orders", "hook", "counting (by x@y 2026-01-01T00:00:00+00:00)")


def test_what_is_known_when_nothing_runs(command: CommandLine) -> None:
    """From the state store alone; what could not be asked is said, and is no part of the answer."""
    command.on_store(_orders_feed_has_been_somewhere)
    answer = command("status")
    assert answer.code == 0, answer.err
    assert _masked(answer) == ALONE
    assert "no daemon answers at http://127.0.0.1:8686: what it alone knows is left out" in answer.err
    assert "headroom is not known" in answer.err
    (row,) = command("status", "products", "--json").rows
    assert (row["state"], row["position_age_secs"], row["next"]) == (
        *("nobody runs it", None, f"eventbus run -c {command.config_path}"),
    )
    assert _masked(command("top", "--once")) == ALONE


def test_a_wrong_name_and_a_store_that_is_away(alone: CommandLine) -> None:
    """Exit 2 for both kinds of what is not configured, or not there yet; 3 for a server that is away."""
    alone.park()
    answer = alone("status", "order")
    assert (answer.code, answer.out) == (2, "")
    assert "did you mean 'orders'?" in answer.err
    text = alone.config_path.read_text()
    away = text.replace(
        text.splitlines()[1], 'state: {type: mongodb, uri: "mongodb://127.0.0.1:1/?replicaSet=rs0"}'
    )
    alone.config_path.write_text(away)
    answer = alone("status")
    assert (answer.code, answer.out) == (3, "")
    assert alone("top", "--once", "--every", "soon").code == 2


def test_without_a_configuration_it_needs_an_address_and_a_token(
    alone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 and what to give; 3 if nobody answers there, and no word of the token."""
    monkeypatch.delenv("EVENTBUS_TOKEN", raising=False)
    answer = alone.plainly("status", "--url", "http://127.0.0.1:1")
    assert (answer.code, answer.out) == (2, "")
    assert "--url and --token" in answer.err
    answer = alone.plainly("top", "--once", "--url", "http://127.0.0.1:1", "--token", "a-secret-of-a-test")
    assert (answer.code, answer.out) == (3, "")
    assert "no daemon answers at http://127.0.0.1:1" in answer.err
    assert "a-secret" not in answer.err


class _Screen:
    """What is shown, up to the second time; then somebody types Ctrl-C."""

    shown: list[Any] = []  # noqa: RUF012 - of one test

    def __init__(self, **_: object) -> None:
        self.shown.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, shown: Any, *, refresh: bool) -> None:
        assert refresh
        self.shown.append(shown)
        if len(self.shown) == 2:
            raise KeyboardInterrupt


def test_top_looks_again_and_again(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until Ctrl-C, which is no failure."""
    monkeypatch.setattr(status, "Live", _Screen)
    alone.park()
    answer = alone("top", "--every", "1ms")
    assert answer.code == 0
    assert [table.row_count for table in _Screen.shown] == [3, 3]
    assert "no daemon answers" in _Screen.shown[0].caption


@pytest.fixture
def served(
    mongo: MongoService,
    mongodb_state: str,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> CommandLine:
    """Commands with their state in MongoDB, and collections that no other test changes."""
    command = CommandLine(tmp_path, mongodb_state, mongo.uri, monkeypatch, capfd)
    text = command.text.replace("database: shop", f"database: {fresh_database}_shop")
    command.config_path.write_text(f"daemon: {{instance: here}}\n{text}")
    return command


@pytest.fixture
def daemon(served: CommandLine, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A real daemon of that configuration."""
    (tmp_path / "daemon").mkdir()
    process = DaemonProcess(tmp_path / "daemon", yaml.safe_load(served.config_path.read_text()))
    yield process.start(wait=False)
    if process.process.poll() is None:
        process.kill()


@pytest.mark.services
def test_beside_a_daemon(
    served: CommandLine, daemon: DaemonProcess, mongo: MongoService, fresh_database: str
) -> None:
    """It says what the store cannot: lag, what is away, headroom. Its lease outlives it, if it is killed."""
    daemon.wait_for(lambda: "watermarks" in daemon.get("/readyz")[1], "subscriptions that run")
    url = f"http://127.0.0.1:{daemon._port()}"
    served("pause", "products", "--reason", "counting")
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        client[f"{fresh_database}_shop"].orders.insert_one({"_id": 1})

        def stands() -> dict[tuple[str, str], dict[str, Any]]:
            rows = served("status", "--url", url, "--json").rows
            return {(row["subscription"], row["route"]): row for row in rows}

        daemon.wait_for(lambda: stands()["orders", "hook"]["state"] == "waiting", "a sink that is away")
        daemon.wait_for(
            lambda: all(
                row["headroom_secs"] is not None and row["lag_secs"] is not None for row in stands().values()
            ),
            "headroom",
        )
        answer = served("status", "--url", url)
        assert (answer.code, answer.err) == (0, "")
        assert _masked(answer) == RUNNING
        daemon.kill()
        answer = served("status", "orders", "--url", url, "--json")
        assert {row["state"] for row in answer.rows} <= {"held", "nobody runs it"}
        assert "no daemon answers" in answer.err
        client.drop_database(f"{fresh_database}_shop")


@pytest.mark.services
def test_a_position_that_is_lost(served: CommandLine) -> None:
    """MongoDB's oplog is asked, whether a daemon runs or not."""
    served.on_store(_orders_feed_has_been_somewhere)
    rows = served("status", "orders", "--json").rows
    lost = next(row for row in rows if row["route"] == "feed")
    assert (lost["state"], lost["next"]) == (
        "position lost",
        f"eventbus position set -c {served.config_path} orders --route feed --to oldest",
    )
    assert lost["headroom_secs"] < 0
