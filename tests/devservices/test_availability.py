"""A machine where a server cannot be had says so in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eventbus.devservices import (
    KafkaService,
    MongoService,
    NatsService,
    OpenSearchService,
    RedisService,
    Unavailable,
    kafka_available,
)


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing in the environment, on PATH or in the cache, no engine, and no registry."""
    programs = tmp_path / "bin"
    programs.mkdir()
    addresses = ("MONGODB_URI", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "NATS_URL", "OPENSEARCH_URL")
    for name in (*addresses, "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EVENTBUS_SERVICES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.mark.parametrize(
    ("start", "remedy"),
    [
        (MongoService.start, "install MongoDB 6.0 or newer so that mongod is on PATH"),
        (RedisService.start, "install Redis 7 so that redis-server is on PATH"),
        (KafkaService.start, "install Java 17 and Maven"),
        (NatsService.start, "install NATS 2.9 or newer so that nats-server is on PATH"),
        (OpenSearchService.start, "install a Java 17 development kit and Maven"),
    ],
)
def test_each_service_says_in_one_sentence_what_to_install(
    start: Callable[[], object], remedy: str, tmp_path: Path
) -> None:
    """The sentence names the server, the reason and the remedy, and no half fetch remains."""
    with pytest.raises(Unavailable) as caught:
        start()
    message = str(caught.value)
    assert message.startswith("No ")
    assert remedy in message
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_version_that_no_package_carries_is_unavailable() -> None:
    """The sentence says which versions there are."""
    with pytest.raises(Unavailable, match=r"no package carries mongod 5\.0\.0, only 6\.0\.27 and 6\.0\.5"):
        MongoService.start(version="5.0.0")


def test_kafka_available_needs_java_and_a_way_to_kafka(bare_machine: Path) -> None:
    """The demo asks before it starts anything; Java alone is not enough."""
    assert not kafka_available()
    _program(bare_machine / "java")
    assert not kafka_available()
    _program(bare_machine / "mvn")
    assert kafka_available()


def test_an_address_is_enough_for_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's broker needs no Java here."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert kafka_available()


def _program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
