"""Another configuration while changes flow, with real servers: who is touched, what is refused, what is left.

The long form of the proof of leaks reloads 20 times a minute for five minutes, the short one at once again.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from prometheus_client.samples import Sample
from pymongo import AsyncMongoClient

from eventbus.daemon import Daemon
from eventbus.devservices import MongoService
from eventbus.reloading.files import ConfigFiles
from eventbus.reloading.outcome import ReloadOutcome
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.subscription import Subscription
from eventbus.telemetry.metrics import REGISTRY
from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess
from tests.e2e.oracle import client_of
from tests.e2e.receivers import from_files

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
SUBSCRIPTIONS = 50
CHANGED = "s07"
NAMES = [f"s{number:02}" for number in range(SUBSCRIPTIONS)]
_CHANGES_A_SECOND = 200.0


class Setting:
    """A database with a collection and a file for each subscription.

    Args:
        mongo: The server.
        database: Its database, that of the state beside it.
        directory: For files.
    """

    def __init__(self, mongo: MongoService, database: str, directory: Path) -> None:
        self.directory = directory
        self.client = client_of(mongo.uri)
        self.database = self.client[database]
        self.state = self.client[f"{database}_state"]["subscriptions"]
        self.uri = mongo.uri
        self.inserted: Counter[str] = Counter()

    def config(self, names: list[str], **sections: Any) -> dict[str, Any]:
        """A configuration of these subscriptions."""
        return {
            "mongodb": {"uri": self.uri},
            "state": {"type": "mongodb", "database": self.state.database.name},
            "log": {"format": "json"},
            "daemon": {"instance": "e2e"},
            "server": {"port": 0},
            "sinks": {name: {"type": "file", "path": str(self.path_of(name))} for name in names},
            "subscriptions": {name: self.subscription(name) for name in names},
            **sections,
        }

    def subscription(self, name: str, **also: Any) -> dict[str, Any]:
        """One subscription."""
        source = {"database": self.database.name, "collections": [name]}
        return {"source": source, "routes": [{"sink": name, **also}]}

    def insert(self, name: str) -> None:
        """One change of a subscription."""
        self.database[name].insert_one({"_id": self.inserted[name], "at": time.time()})
        self.inserted[name] += 1

    def arrived(self, name: str) -> list[int]:
        """The documents that are in a subscription's file, in order."""
        return [
            json.loads(arrival.body)["data"]["document"]["_id"] for arrival in from_files(self.path_of(name))
        ]

    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        """What is stored of each subscription."""
        return {document["_id"]: document for document in self.state.find({})}

    def path_of(self, name: str) -> Path:
        return self.directory / f"{name}.jsonl"

    @contextmanager
    def changing(self, names: list[str], per_second: float) -> Iterator[None]:
        """Changes of these subscriptions, in turn, while the body runs."""
        over = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            try:
                begun, count = time.monotonic(), 0
                while not over.wait(max(0.0, begun + count / per_second - time.monotonic())):
                    self.insert(names[count % len(names)])
                    count += 1
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not failures


@pytest.fixture
def setting(mongo: MongoService, fresh_database: str, tmp_path: Path) -> Iterator[Setting]:
    """Of a test's own."""
    made = Setting(mongo, fresh_database, tmp_path)
    yield made
    made.client.drop_database(made.state.database.name)
    made.client.close()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """At once, as an operator's tools do."""
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump(dict(content)))
    new.replace(path)


def _reload(daemon: DaemonProcess, *, event: str = "config_reloaded") -> dict[str, Any]:
    """SIGHUP; the line that says what came of it."""
    before = len(daemon.events(event))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: len(daemon.events(event)) > before, event)
    return daemon.events(event)[-1]


def test_one_of_fifty_is_changed_and_the_others_never_notice(setting: Setting) -> None:
    """Leases, lives and deliveries of the others are as ever; the changed one loses and repeats nothing."""
    config = setting.config(NAMES)
    with DaemonProcess(setting.directory, config) as daemon:
        daemon.start()
        with setting.changing(NAMES, _CHANGES_A_SECOND):
            _all_have(daemon, setting, 5)
            before = setting.documents()
            quiet = _longest_pause(setting, 4.0, lambda: None)
            attempts = iter(range(10, 100))

            def reload() -> None:
                config["subscriptions"][CHANGED] = setting.subscription(
                    CHANGED, retry={"attempts": next(attempts)}
                )
                _write(daemon.config_path, config)
                _reload(daemon)

            busy = _longest_pause(setting, 4.0, reload)
            daemon.wait_until_ready()
        _all_have_all(daemon, setting)
        after = setting.documents()
        said = daemon.events("config_reloaded")
        begun = Counter(line["subscription"] for line in daemon.events("subscription_started"))
        assert daemon.terminate() == 0
    assert said
    assert all((one["restarted"], one["added"], one["removed"]) == ([CHANGED], [], []) for one in said)
    assert begun == Counter(NAMES) + Counter({CHANGED: len(said)})
    for name in NAMES:
        is_same = after[name]["epoch"] == before[name]["epoch"]
        assert is_same is (name != CHANGED), name
        assert after[name]["routes"][name]["token"] > before[name]["routes"][name]["token"], name
        assert setting.arrived(name) == list(range(setting.inserted[name])), name
    print(f"longest pause of the other 49: {quiet:.3f} s without a reload, {busy:.3f} s with {len(said)}")
    assert busy < 5 * quiet


def _all_have(daemon: DaemonProcess, setting: Setting, count: int) -> None:
    daemon.wait_for(lambda: all(setting.path_of(name).exists() for name in NAMES), "files")
    daemon.wait_for(
        lambda: all(len(setting.path_of(name).read_bytes().splitlines()) >= count for name in NAMES),
        "changes",
    )


def _all_have_all(daemon: DaemonProcess, setting: Setting) -> None:
    daemon.wait_for(
        lambda: all(len(setting.arrived(name)) == setting.inserted[name] for name in NAMES), "every change"
    )


def _longest_pause(setting: Setting, secs: float, act: Callable[[], None]) -> float:
    """The longest time without a delivery to one of the others, while something is done again and again."""
    until = time.monotonic() + secs
    over = threading.Event()

    def act_again() -> None:
        while time.monotonic() < until:
            act()
            time.sleep(0.2)
        over.set()

    others = [setting.path_of(name) for name in NAMES if name != CHANGED]
    sizes = {path: (path.stat().st_size, time.monotonic()) for path in others}
    longest = 0.0
    thread = threading.Thread(target=act_again)
    thread.start()
    while not over.is_set():
        now = time.monotonic()
        for path in others:
            size, since = sizes[path]
            if (found := path.stat().st_size) != size:
                longest = max(longest, now - since)
                sizes[path] = found, now
        time.sleep(0.005)
    thread.join()
    return longest


def test_what_cannot_be_is_refused_as_a_whole(setting: Setting) -> None:
    """With all problems in one line; what ran goes on, and the next right file is taken."""
    config = setting.config(["one", "two"], daemon={"instance": "e2e", "watch_config": True})
    with DaemonProcess(setting.directory, config) as daemon:
        daemon.start()
        config = {**config, "server": {"port": 0}}
        changed = {**config["subscriptions"], "one": setting.subscription("one", lanes=3)}
        refusals: list[tuple[Mapping[str, Any], list[str]]] = [
            ({"subscriptions": {**changed, "two": {"source": {}, "rutes": []}}}, ["rutes"]),
            (
                {"subscriptions": changed, "log": {"level": "debug"}, "dead_letters": {"max_letters": 5}},
                ["dead_letters.max_letters: cannot be changed", "log.level: cannot be changed"],
            ),
            (
                {"subscriptions": {**changed, "two": _with_match(setting, {"$nonsense": 1})}},
                ["subscriptions.two.source"],
            ),
            ({"sinks": {**config["sinks"], "x": {"type": "carrier_pigeon"}}}, ["carrier_pigeon"]),
        ]
        for sections, words in refusals:
            _write(daemon.config_path, {**config, **sections})
            problems = _reload(daemon, event="reload_refused")["problems"]
            for word in words:
                assert any(word in problem for problem in problems), problems
        after_a_refusal = daemon.get("/metrics")[1]
        setting.insert("one")
        setting.insert("two")
        _write(daemon.config_path, {**config, "subscriptions": changed})  # and nobody says so: it is watched
        daemon.wait_for(lambda: daemon.events("config_reloaded"), "the reload of a watched file")
        assert daemon.events("config_reloaded")[0]["restarted"] == ["one"]
        _reload(daemon, event="config_unchanged")
        begun = Counter(line["subscription"] for line in daemon.events("subscription_started"))
        daemon.wait_for(lambda: setting.arrived("one") and setting.arrived("two"), "the changes")
        counted = daemon.get("/metrics")[1]
        assert daemon.terminate() == 0
    assert begun["two"] == 1
    assert 'eventbus_reloads_total{result="applied"} 1.0' in counted
    assert "eventbus_config_last_reload_successful 0.0" in after_a_refusal
    assert "eventbus_config_last_reload_successful 1.0" in counted
    assert "eventbus_config_last_reload_success_timestamp_seconds" in counted


def _with_match(setting: Setting, match: Mapping[str, Any]) -> dict[str, Any]:
    subscription = setting.subscription("two")
    subscription["source"]["match"] = match
    return subscription


@pytest.mark.proof
def test_reloads_leave_nothing_behind(setting: Setting) -> None:
    """Tasks, descriptors, connections, threads, series and live objects are what they were."""
    path = setting.directory / "eventbus.yaml"
    _write(path, setting.config(["a", "b", "c"]))
    files = ConfigFiles([path])
    daemon = Daemon(files.load(), files)
    rounds, rest_secs = (100, 3.0) if FULL else (15, 0.0)

    async def whole() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon.run)
            await _until(lambda: daemon.ready().ok)
            with setting.changing(["a", "b", "c"], 50.0):
                await _reload_again_and_again()
            await _until(lambda: all(len(setting.arrived(n)) == setting.inserted[n] for n in "abc"))
            os.kill(os.getpid(), signal.SIGTERM)

    async def _reload_again_and_again() -> None:
        for number in range(6):  # pools and caches fill
            await _change(daemon, setting, path, number)
        await _reset(daemon, setting, path)
        before = _footprint()
        for number in range(rounds):
            await _change(daemon, setting, path, number)
            await anyio.sleep(rest_secs)
        await _reset(daemon, setting, path)
        with anyio.move_on_after(20.0):  # what is closed goes in its own time
            await _until(lambda: not _grown(before, _footprint(), rounds))
        after = _footprint()
        print(f"before: {before}\nafter {rounds} reloads: {after}")
        assert not _grown(before, after, rounds)

    anyio.run(whole)
    for name in "abc":
        assert setting.arrived(name) == list(range(setting.inserted[name])), name


async def _until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(DEADLINE_SECS):
        while not condition():  # noqa: ASYNC110 - other processes and libraries tell nobody
            await anyio.sleep(0.05)


async def _change(daemon: Daemon, setting: Setting, path: Path, number: int) -> None:
    """Something else each time: a route, a sink, a subscription more and one less."""
    config = setting.config(["a", "b", "c"])
    match number % 3:
        case 0:
            config["subscriptions"]["a"] = setting.subscription("a", retry={"attempts": 10 + number})
            changed = ReloadOutcome("applied", restarted=["a"])
        case 1:
            config["sinks"]["b"]["rate"] = f"{1000 + number}/s"
            changed = ReloadOutcome("applied", restarted=["b"])
        case _:
            config = setting.config(["a", "b", f"d{number}"])
            changed = ReloadOutcome("applied", added=[f"d{number}"], removed=["c"])
    _write(path, config)
    outcome = await daemon.reload()
    assert outcome.result == "applied", outcome.problems
    assert set(changed.restarted) <= set(outcome.restarted)
    assert set(changed.added) <= set(outcome.added)
    assert set(changed.removed) <= set(outcome.removed)


async def _reset(daemon: Daemon, setting: Setting, path: Path) -> None:
    """Back to the first configuration."""
    _write(path, setting.config(["a", "b", "c"]))
    assert (await daemon.reload()).result == "applied"
    await _until(lambda: daemon.ready().ok)


def _footprint() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    kinds = Counter(type(thing) for thing in gc.get_objects())
    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    open_now = [sample.value for sample in samples if sample.name == "eventbus_mongodb_connections_open"]
    live = {kind.__name__: kinds[kind] for kind in (Subscription, Route, SharedSink, AsyncMongoClient)}
    return {
        **live,
        "series": len([sample for sample in samples if _is_of_what_went(sample)]),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "connections": int(sum(open_now)),
        "objects": kinds.total(),
    }


def _is_of_what_went(sample: Sample) -> bool:
    """Whether it goes with a subscription or a sink that only some of the configurations have.

    Those of the others may grow by an outcome that comes for the first time, such as a poll that failed.
    """
    names = {sample.labels[label] for label in ("subscription", "sink") if label in sample.labels}
    return bool(names - {"a", "b", "c"})


def _grown(before: Mapping[str, int], after: Mapping[str, int], rounds: int) -> dict[str, int]:
    """What is more than before; of what comes and goes, or is pooled, no more than one for four reloads."""
    pooled = dict.fromkeys(("tasks", "threads", "descriptors", "connections"), rounds // 4)
    allowed = {**before, "objects": round(before["objects"] * 1.03)}
    return {name: more for name, more in after.items() if more > allowed[name] + pooled.get(name, 0)}
