"""Bad input starts nothing and says why; a server that is not there yet is waited for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventbus.devservices import MongoService
from tests.e2e.daemon import DaemonProcess

pytestmark = pytest.mark.services

GOOD = """\
mongodb: {uri: "%(uri)s"}
server: {port: 0}
sinks:
  archive: {type: file, path: %(directory)s/archive.jsonl}
subscriptions:
  orders:
    source: {database: shop, collections: [orders]}
    routes: [archive]
"""
SECOND = "  stock: {source: {database: shop, collections: [stock]}, routes: [archive]}\n"


def eventbus(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "eventbus", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def written(tmp_path: Path, mongo: MongoService) -> Callable[[str], Path]:
    """Write a configuration file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "eventbus.yaml"
        path.write_text(text % {"uri": mongo.uri, "directory": tmp_path})
        return path

    return write


def test_a_good_one_is_valid(written: Callable[[str], Path]) -> None:
    """Validation says so, with and without a server."""
    path = written(GOOD)
    for arguments in ([], ["--connect"]):
        result = eventbus("validate", str(path), *arguments)
        assert (result.returncode, result.stdout) == (0, "ok: 1 subscription, 1 sink\n"), result.stderr


BAD = {
    "unknown key": (
        GOOD.replace("collections:", "colections:"),
        "7:30: subscriptions.orders.source: unknown key 'colections', did you mean 'collections'?",
    ),
    "missing sink": (
        GOOD.replace("[archive]", "[archiv]"),
        "eventbus.yaml:8:14: subscriptions.orders.routes[0]: ",
    ),
    "unset variable": (
        GOOD.replace('"%(uri)s"', '"${EVENTBUS_TEST_UNSET}"'),
        "eventbus.yaml:1:16: mongodb.uri: ",
    ),
    "duplicate names": (
        GOOD.replace("[archive]", "[archive, archive]"),
        "eventbus.yaml:8:23: subscriptions.orders.routes[1]: ",
    ),
    "syntax error": (GOOD.replace("[archive]", "[archive"), "eventbus.yaml:9:1: "),
    "password in a URI": (
        GOOD.replace('"%(uri)s"', '"mongodb://eve:s3cret@localhost:99999/"'),
        "eventbus.yaml:1:16: mongodb.uri: ",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_bad_input(written: Callable[[str], Path], what: str, command: str) -> None:
    """Exit 2, the place and the reason on standard error, no trace of a start."""
    text, message = BAD[what]
    path = written(text)
    result = eventbus("validate", str(path)) if command == "validate" else eventbus("run", "-c", str(path))
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "s3cret" not in result.stderr + result.stdout
    assert "started" not in result.stderr


def test_every_problem_at_once(written: Callable[[str], Path]) -> None:
    """Two mistakes, two lines."""
    path = written(GOOD.replace("collections:", "colections:").replace("port: 0", "prot: 0"))
    assert len(eventbus("validate", str(path)).stderr.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ("{type: sqlite, path: /proc/state.db}", 2, "state: /proc: "),
        ("{type: mongodb, uri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200'}", 3, "the state store"),
    ],
)
def test_the_state_store_is_asked_too(
    written: Callable[[str], Path], state: str, code: int, words: str
) -> None:
    """By `validate --connect`: one that cannot be used keeps the daemon from its work, as a source does."""
    result = eventbus("validate", "--connect", str(written(f"{GOOD}state: {state}\n")))
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr


@pytest.mark.parametrize("arguments", [["validate", "--connect"], ["run", "-c"]], ids=["validate", "run"])
class TestRefusedByTheServer:
    """What only a server can tell: exit 2 from `run` and from `validate --connect`."""

    def test_invalid_match(self, written: Callable[[str], Path], arguments: list[str]) -> None:
        """The server's own message, at the key that it is about."""
        path = written(GOOD.replace("[orders]}", '[orders], match: {"$nonsense": 1}}'))
        result = eventbus(*arguments, str(path))
        assert result.returncode == 2
        (problem,) = problems_of(result.stderr)
        assert problem.startswith("subscriptions.orders.source.match: ")
        assert "$nonsense" in result.stderr

    def test_standalone(self, tmp_path: Path, arguments: list[str]) -> None:
        """A server without an oplog cannot be watched."""
        with MongoService.start(replica_set=False) as standalone:
            path = tmp_path / "eventbus.yaml"
            path.write_text(GOOD % {"uri": standalone.uri, "directory": tmp_path})
            result = eventbus(*arguments, str(path))
        assert result.returncode == 2
        assert "replica set" in result.stderr

    def test_wrong_credentials(self, tmp_path: Path, arguments: list[str]) -> None:
        """Refused, without the password, and said once for all subscriptions."""
        with MongoService.start(auth=("root", "right")) as guarded:
            path = tmp_path / "eventbus.yaml"
            uri = guarded.uri.replace("root:right@", "root:wr0ng-s3cret@")
            path.write_text((GOOD + SECOND) % {"uri": uri, "directory": tmp_path})
            result = eventbus(*arguments, str(path))
        assert result.returncode == 2
        (problem,) = problems_of(result.stderr)
        assert problem.startswith("mongodb.uri: Authentication failed")
        assert "wr0ng-s3cret" not in result.stderr


def test_an_unreachable_mongodb_is_waited_for(tmp_path: Path) -> None:
    """Not ready and saying so; ready and delivering once it is there."""
    with MongoService.start(own=True) as mongo:
        mongo.kill()
        config = {
            "mongodb": {"uri": mongo.uri},
            "sinks": {"archive": {"type": "file", "path": str(tmp_path / "archive.jsonl")}},
            "subscriptions": {
                "orders": {"source": {"database": "shop", "collections": ["orders"]}, "routes": ["archive"]}
            },
            "log": {"format": "json"},
        }
        with DaemonProcess(tmp_path, config) as daemon:
            daemon.start(wait=False)
            daemon.wait_for(lambda: daemon.events("daemon_waited"), "the word that it waits")
            status, body = daemon.get("/readyz")
            assert status == 503
            assert "waiting_for" in body
            assert daemon.get("/livez")[0] == 200
            assert 'eventbus_lease_held{subscription="orders"} 0.0' in daemon.get("/metrics")[1]
            mongo.restart()
            daemon.wait_until_ready()
            assert 'eventbus_lease_held{subscription="orders"} 1.0' in daemon.get("/metrics")[1]
            assert daemon.terminate() == 0


def test_a_source_that_goes_away_shows_in_readiness(tmp_path: Path) -> None:
    """Not ready while nothing can be read, with the reason; ready again when the server is back."""
    with MongoService.start(own=True) as mongo:
        config = {
            "mongodb": {"uri": mongo.uri},
            "state": {"type": "sqlite", "path": str(tmp_path / "state.db")},
            "sinks": {"archive": {"type": "file", "path": str(tmp_path / "archive.jsonl")}},
            "subscriptions": {
                "orders": {"source": {"database": "shop", "collections": ["orders"]}, "routes": ["archive"]}
            },
            "log": {"format": "json"},
        }
        with DaemonProcess(tmp_path, config).start() as daemon:
            mongo.kill()
            daemon.wait_for(lambda: daemon.get("/readyz")[0] == 503, "the word that it cannot read")
            assert "cannot read" in daemon.get("/readyz")[1]
            assert daemon.get("/livez")[0] == 200
            mongo.restart()
            daemon.wait_until_ready()
            assert daemon.terminate() == 0


def problems_of(stderr: str) -> list[str]:
    """What is said beside the log."""
    return [line for line in stderr.splitlines() if line and not line.startswith("{")]


def test_a_sink_that_is_not_there_makes_unready_who_holds_its_route_critical(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """Where the route is not, the daemon is ready and says what is amiss; it is alive in any case."""
    config: dict[str, Any] = {
        "mongodb": {"uri": mongo.uri},
        "sinks": {
            "archive": {"type": "file", "path": str(tmp_path / "archive.jsonl")},
            "gone": {"type": "redis", "url": "redis://127.0.0.1:1/0", "stream": "gone"},
        },
        "subscriptions": {
            "tolerant": {
                "source": {"database": fresh_database},
                "routes": ["archive", {"sink": "gone", "critical": False}],
            },
            "strict": {"source": {"database": fresh_database}, "routes": ["archive", "gone"]},
        },
        "state": {"type": "sqlite", "path": str(tmp_path / "state.db")},
        "log": {"format": "json"},
    }

    def said(name: str) -> dict[str, Any]:
        subscriptions = json.loads(daemon.get("/readyz")[1] or "{}").get("subscriptions", {})
        found: dict[str, Any] = subscriptions.get(name, {})
        return found

    with DaemonProcess(tmp_path, config) as daemon:
        daemon.start(wait=False)
        daemon.wait_for(lambda: said("strict").get("state") == "running", "a subscription that runs")
        daemon.wait_for(lambda: said("tolerant").get("state") == "running", "a subscription that runs")
        assert daemon.get("/readyz")[0] == 503
        assert said("strict")["problems"][0].startswith("route gone: ")
        assert (said("strict")["tolerated"], said("tolerant")["problems"]) == ([], [])
        assert said("tolerant")["tolerated"][0].startswith("route gone: ")
        assert daemon.get("/livez")[0] == 200
        assert daemon.terminate() == 0
    del config["subscriptions"]["strict"]
    with DaemonProcess(tmp_path, config).start() as daemon:
        assert said("tolerant")["tolerated"][0].startswith("route gone: ")
