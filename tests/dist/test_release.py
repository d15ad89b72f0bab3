"""What is released: built twice alike, complete, and enough by itself in an empty environment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import anyio
import orjson
import pytest
import yaml
from pymongo import MongoClient

import eventbus
from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.dist.release import Artifacts, build, problems
from tests.docs.pages import ROOT, blocks
from tests.e2e.daemon import DaemonProcess
from tests.sinks.kafka_topics import records

pytestmark = [pytest.mark.dist, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return build(tmp_path_factory.mktemp("release") / "dist")


@pytest.fixture(scope="module")
def installed(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has the wheel, and what it asks for, and nothing else."""
    place = tmp_path_factory.mktemp("empty")
    venv.create(place, with_pip=True)
    constraints = ROOT / "tests/constraints.txt"
    options = ["-q", "-c", str(constraints), str(artifacts.wheel)]
    command = [str(place / "bin/python"), "-m", "pip", "install", *options]
    subprocess.run(command, check=True, cwd=place, env=_outside())
    return place / "bin"


def _outside() -> dict[str, str]:
    """An environment that knows nothing of this folder."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def test_it_has_all_that_it_should_and_nothing_else(artifacts: Artifacts) -> None:
    assert list(problems(artifacts)) == []


def test_what_is_missing_is_told(artifacts: Artifacts, tmp_path: Path) -> None:
    """Else the test before would say nothing."""
    (tmp_path / artifacts.sdist.name).write_bytes(artifacts.sdist.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", tmp_path / artifacts.wheel.name, ROOT / "README.md"],
        check=True,
    )
    told = list(problems(Artifacts(tmp_path)))
    assert "the wheel has no LICENSE" in told
    assert "the wheel lacks eventbus/py.typed" in told
    assert "the wheel has README.md, which is not to be installed" in told


def test_it_is_built_twice_alike(artifacts: Artifacts, tmp_path: Path) -> None:
    again = build(tmp_path / "dist")
    for one, other in ((artifacts.wheel, again.wheel), (artifacts.sdist, again.sdist)):
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), (
            one.name
        )


def test_the_wheel_alone_says_its_version_and_its_schema(installed: Path, tmp_path: Path) -> None:
    for words in (["--version"], ["schema"], ["--help"]):
        said = subprocess.run(
            [installed / "eventbus", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=_outside(),
        )
        assert said.returncode == 0, said.stderr
        assert words != ["--version"] or said.stdout.strip() == eventbus.__version__


@pytest.mark.services
def test_the_wheel_alone_shows_the_demo(
    installed: Path,
    mongo: MongoService,
    redis_service: RedisService,
    kafka_service: KafkaService,
    tmp_path: Path,
) -> None:
    servers = {
        "MONGODB_URI": mongo.uri,
        "REDIS_URL": redis_service.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_service.bootstrap_servers,
    }
    said = subprocess.run(
        [installed / "eventbus", "demo", "--seconds", "4"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**_outside(), **servers},
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1].endswith("lost=0 duplicated=0")


@pytest.fixture
def shop(mongo: MongoService) -> Iterator[MongoClient[dict[str, object]]]:
    """The database that the example names; nobody else uses it here."""
    with MongoClient[dict[str, object]](mongo.uri) as client:
        yield client
        client.drop_database("shop")
        client.drop_database("eventbus")


@pytest.mark.services
def test_the_wheel_alone_runs_the_first_example_of_the_documents(
    installed: Path,
    mongo: MongoService,
    kafka_service: KafkaService,
    shop: MongoClient[dict[str, object]],
    tmp_path: Path,
) -> None:
    """As it stands in the README, but for where Kafka is."""
    example = blocks("yaml", ROOT / "README.md")[0].text
    kafka = kafka_service.bootstrap_servers
    config = yaml.safe_load(example.replace("localhost:9092", kafka))
    command = [str(installed / "eventbus")]
    with DaemonProcess(tmp_path, config, {"MONGODB_URI": mongo.uri}, command=command, cwd=tmp_path) as daemon:
        daemon.start()
        shop.shop.orders.insert_one({"_id": "first"})
        labels = 'outcome="delivered",route="orders_topic",subscription="orders"'
        delivered = f"eventbus_events_settled_total{{{labels}}} 1.0"
        daemon.wait_for(lambda: delivered in daemon.get("/metrics")[1], "delivery")
        assert daemon.terminate() == 0
    (record,) = anyio.run(records, kafka, "shop.orders")
    assert orjson.loads(record.value)["subject"] == "first"
