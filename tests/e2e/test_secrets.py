"""No secret of a configuration gets out, however what it is for fails, and whoever asks for whatever."""

from __future__ import annotations

import json
import re
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo import MongoClient

from eventbus.api.application import ENDPOINTS
from eventbus.config import load
from eventbus.devservices import MongoService, RedisService
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from tests.api.caller import Caller
from tests.cli.command_line import CommandLine
from tests.e2e.daemon import DaemonProcess
from tests.e2e.echo import echoing
from tests.e2e.marked import USER, Marks, Place, secret_options

pytestmark = pytest.mark.services

COMMANDS = (
    "validate",
    "explain",
    "doctor",
    "status",
    "status --json",
    "report",
    "dlq list --json",
    "operation list",
    "position list",
)
"""What an operator types when something does not work."""


@pytest.fixture(scope="module")
def place(redis_service: RedisService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that asks for passwords, one that does not, and one that prints them."""
    marks = Marks()
    root = (USER, marks("MongoDBSection.uri"))
    with MongoService.start(auth=root, own=True) as mongo, echoing() as echo:
        with MongoClient[dict[str, Any]](mongo.uri) as client:
            keeper = marks("MongoDBStateSection.uri")
            client.admin.command("createUser", "keeper", pwd=keeper, roles=["root"])
        address = re.search(r"127\.0\.0\.1:\d+", mongo.uri)
        redis = re.search(r"127\.0\.0\.1:\d+", redis_service.url)
        assert address is not None
        assert redis is not None
        directory = tmp_path_factory.mktemp("secrets")
        name = f"secrets{uuid.uuid4().hex[:8]}"
        yield Place(address[0], redis[0], echo, name, directory, marks)


@pytest.fixture
def type_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Somebody at a shell."""
    return CommandLine(tmp_path, "{}", "mongodb://nowhere/", monkeypatch, capfd)


def test_every_secret_that_there_can_be_is_given(place: Place) -> None:
    """A new option that is a secret must be given here, where it fails and is searched for."""
    place.unopened()
    assert place.marks.options == secret_options()


def test_nothing_gets_out_of_a_daemon(place: Place, tmp_path: Path, type_in: CommandLine) -> None:
    """Of a running one, of the commands about it, of its API, its metrics, its state and its log."""
    config = place.config()
    told: dict[str, str] = {}
    with DaemonProcess(tmp_path, config) as daemon, MongoClient[dict[str, Any]](_root_uri(place)) as client:
        daemon.start(wait=False)
        daemon.wait_for(lambda: daemon.events("subscription_started"), "start")
        client[place.name].orders.insert_many([{"card": f"4000{number}"} for number in range(3)])
        waited = set(config["sinks"]) - {"refused", "failing"}
        daemon.wait_for(lambda: daemon.events("event_parked"), "dead letter")
        daemon.wait_for(
            lambda: {one["sink"] for one in daemon.events("sink_waited_for")} >= waited, "sinks that are away"
        )
        daemon.wait_for(lambda: daemon.events("stage_waited"), "a lookup that fails")
        for words in (*COMMANDS, *(f"sink test {name}" for name in config["sinks"])):
            answer = type_in.plainly(*words.split(), "-c", str(daemon.config_path))
            told[words] = answer.out + answer.err
        told |= _asked(daemon, place, list(config["sinks"]))
        told["the state"] = "\n".join(
            f"{name}: {document}"
            for name in client[f"{place.name}_state"].list_collection_names()
            for document in client[f"{place.name}_state"][name].find()
        )
        assert daemon.terminate() == 0
        told["the log"] = daemon.log()
    assert "event_parked" in told["the log"]
    assert "answered 422" in told["the state"]
    assert all(told.values()), [name for name, text in told.items() if not text]
    assert _shown(place, told) == {}


def _root_uri(place: Place) -> str:
    return str(place.config()["mongodb"]["uri"])


def _asked(daemon: DaemonProcess, place: Place, sinks: list[str]) -> dict[str, str]:
    """All that the API tells, and all that it does about sinks and the configuration."""
    trusted = ssl.create_default_context(cafile=place.directory / "ours.pem")
    call = Caller(daemon.port, place.marks.given["TokenSection.token"], trusted)
    values = {"subscription": "orders", "route": "refused", "sink": "refused"}
    paths = [
        re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "none"), f"/v1{one.path}")
        for one in ENDPOINTS
        if one.method == "GET"
    ]
    told = {path: call.get(path).body.decode() for path in ("/livez", "/readyz", "/metrics", *paths)}
    told |= {f"test {name}": call.post(f"/v1/sinks/{name}/test").body.decode() for name in sinks}
    told["reload"] = call.post("/v1/reload").body.decode()
    return told


def _shown(place: Place, told: dict[str, str]) -> dict[str, list[str]]:
    """Which secrets stand in which text."""
    found = {where: place.marks.shown_in(text) for where, text in told.items()}
    return {where: names for where, names in found.items() if names}


@pytest.mark.parametrize("what", ["wrong", "unopened"])
def test_nothing_gets_out_when_nothing_is_let_in(
    place: Place, what: str, tmp_path: Path, type_in: CommandLine
) -> None:
    """Passwords that MongoDB does not take, and keys that no password opens."""
    config = place.wrong() if what == "wrong" else place.unopened()
    told: dict[str, str] = {}
    with DaemonProcess(tmp_path, config) as daemon:
        assert daemon.start(wait=False).wait() == 2
        told["run"] = daemon.log()
        for words in ("doctor", "status", "sink test encrypted", "sink test topic"):
            answer = type_in.plainly(*words.split(), "-c", str(daemon.config_path))
            told[words] = answer.out + answer.err
            assert answer.code != 0, words
    assert all(told.values()), [name for name, text in told.items() if not text]
    assert _shown(place, told) == {}


@pytest.mark.parametrize("as_key", [False, True], ids=["a mapping", "a key that is none"])
def test_a_secret_in_the_wrong_place_is_not_repeated(place: Place, as_key: bool, tmp_path: Path) -> None:
    """The messages name each place, and no value."""
    config = json.loads(json.dumps(place.config()))  # nothing in it is there twice
    places = [way for way in list(_places(config)) if isinstance(way[-1], str)]
    for *way, last in places:
        at: Any = config
        for step in way:
            at = at[step]
        if as_key:
            at[f"{last}_"] = at.pop(last)
        else:
            at[last] = {"is": at[last]}
    path = tmp_path / "eventbus.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigurationError) as caught:
        load([path], Registry.from_entry_points(), {})
    assert len(str(caught.value).splitlines()) >= len(places)
    assert place.marks.shown_in(str(caught.value)) == []


def _places(value: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    """Where the marks are."""
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, *way, step)
    elif isinstance(value, str) and ("zq" in value or "whsec_" in value):
        yield way
