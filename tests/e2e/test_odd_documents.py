"""Documents that something cannot take: each ends delivered or as a dead letter, and the stream goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument

from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess
from tests.e2e.scene import SINKS, Scene

pytestmark = pytest.mark.services

INVALID_UTF8 = b"\xff\xfe not text"


def test_each_ends_somewhere_and_the_stream_goes_on(scene: Scene) -> None:
    """Not encodable, 16 MB, Decimal128 NaN, a key with newlines: then an ordinary one behind them all."""
    with DaemonProcess(scene.directory, scene.config()) as daemon:
        daemon.start()
        raw = bson.encode({"_id": "not text", "text": "placeholder: text"})
        raw = raw.replace(b"placeholder: text", INVALID_UTF8 + b"." * (17 - len(INVALID_UTF8)))
        scene.collection.insert_one(RawBSONDocument(raw))
        scene.collection.insert_one({"_id": "huge", "text": "x" * (16 * 1024 * 1024 - 100)})
        scene.collection.insert_one({"_id": "nan", "amount": Decimal128("NaN"), "ratio": float("nan")})
        scene.collection.insert_one({"_id": "line one\nline two\r\n", "n": 1})
        scene.collection.insert_one({"_id": "ordinary", "n": 2})
        ends = _wait_for_ends(scene, 5)
        assert daemon.terminate() == 0
    for sink in SINKS:
        assert ends[sink]["not text"].startswith("parked: not encodable"), sink
        assert ends[sink]["huge"] == "delivered" or "parked" in ends[sink]["huge"], sink
        assert ends[sink]["nan"] == "delivered", sink
        assert ends[sink]["line one\nline two\r\n"] == "delivered", sink
        assert ends[sink]["ordinary"] == "delivered", sink
    # A record of 16 MB is beyond what the broker takes; the webhook and the file have no such bound.
    assert "more than max_request_size" in ends["kafka"]["huge"]
    assert ends["webhook"]["huge"] == ends["archive"]["huge"] == "delivered"
    _check_listing(daemon, ends)


def _wait_for_ends(scene: Scene, count: int) -> Mapping[str, dict[str, str]]:
    """For each sink what became of each document, by its `_id`."""
    deadline = time.monotonic() + DEADLINE_SECS
    while True:
        ends = {sink: _delivered(scene, sink) | _parked(scene, sink) for sink in SINKS}
        if all(len(end) == count for end in ends.values()) or time.monotonic() > deadline:
            return ends
        time.sleep(0.2)


def _delivered(scene: Scene, sink: str) -> dict[str, str]:
    bodies = [json.loads(arrival.body) for arrival in scene.arrivals()[sink]]
    return {body["data"]["document_key"]["_id"]: "delivered" for body in bodies}


def _parked(scene: Scene, sink: str) -> dict[str, str]:
    letters = scene.client[scene.state_database]["dead_letters"].find({"route": sink})
    return {letter["document_key"]["_id"]: f"parked: {letter['reason']}" for letter in letters}


def _check_listing(daemon: DaemonProcess, ends: Mapping[str, Mapping[str, str]]) -> None:
    """`eventbus dlq list` shows the same dead letters, with their reasons."""
    done = subprocess.run(
        [sys.executable, "-m", "eventbus", "dlq", "list", "-c", str(daemon.config_path), "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    listed: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    parked = sum(end.startswith("parked") for of_sink in ends.values() for end in of_sink.values())
    assert len(listed) == parked
    assert all(letter["reason"] for letter in listed)


def test_names_and_keys_that_are_not_utf8_stop_nothing(scene: Scene) -> None:
    """Such an `_id` is parked, such a removed field is delivered; what comes behind them is delivered."""
    with DaemonProcess(scene.directory, scene.config()) as daemon:
        daemon.start()
        key = bson.encode({"_id": "placeholder"}).replace(b"placeholder", b"\xff\xfe.........")
        scene.collection.insert_one(RawBSONDocument(key))
        named = bson.encode({"_id": "bad", "bad name": 1}).replace(b"bad name", b"bad\xffname")
        scene.collection.insert_one(RawBSONDocument(named))
        unset = bson.encode({"$unset": {"bad name": ""}}).replace(b"bad name", b"bad\xffname")
        scene.collection.update_one({"_id": "bad"}, RawBSONDocument(unset))
        scene.collection.insert_one({"_id": "behind"})
        daemon.wait_for(lambda: b'"_id":"behind"' in b"".join(_bodies(scene)), "the event behind them")
        assert daemon.terminate() == 0
    assert "subscription_crashed" not in daemon.log()
    bodies = [json.loads(body) for body in _bodies(scene)]
    removals = [body["data"]["removed"] for body in bodies if body["data"]["operation"] == "update"]
    assert removals == [["bad\\xffname"]]
    letters = list(scene.client[scene.state_database]["dead_letters"].find({"route": "webhook"}))
    assert len(letters) == 2
    assert all("not encodable" in letter["reason"] for letter in letters)


def _bodies(scene: Scene) -> list[bytes]:
    return [arrival.body for arrival in list(scene.webhook.arrivals)]
