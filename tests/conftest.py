"""The real servers of the suite: one of each for a session, started when a test first asks for it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import hypothesis
import pytest
import structlog
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from eventbus.devservices import KafkaService, MongoService, RedisService, Unavailable

T = TypeVar("T")

EXAMPLES = 400 if os.environ.get("EVENTBUS_PROOF") == "full" else 40
hypothesis.settings.register_profile(
    "suite",
    max_examples=EXAMPLES,
    deadline=None,  # a busy machine makes any time too short
)
hypothesis.settings.load_profile("suite")

SLOW_MODULES = {
    "test_any_yaml",
    "test_cache",
    "test_circumstances",
    "test_completion",
    "test_daemon_process",
    "test_dlq",
    "test_doctor",
    "test_dlq_replay",
    "test_file_crashes",
    "test_file_parquet",
    "test_json",
    "test_json_modes",
    "test_letter_limit",
    "test_mongodb_change",
    "test_mongodb_course",
    "test_mongodb_elements",
    "test_operations",
    "test_pausing",
    "test_progress",
    "test_pattern",
    "test_init",
    "test_isolation",
    "test_random_schedules",
    "test_replays",
    "test_report",
    "test_redaction",
    "test_reloads",
    "test_replay",
    "test_shop",
    "test_snapshot",
    "test_snapshots",
    "test_sink_kit",
    "test_sink_test",
    "test_snapshot_splice",
    "test_sqlite",
    "test_sqlite_access",
    "test_status",
    "test_stdout",
    "test_syntax",
    "test_tail",
    "test_transaction_kit",
}
"""Modules that need no server and yet seconds: `make check` leaves them to `make test`."""


def pytest_configure() -> None:
    """A shell starts background jobs deaf to Ctrl-C, and so all that they start: tests of it must hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make check` leaves out."""
    for item in items:
        if item.path.stem in SLOW_MODULES or item.get_closest_marker("dist"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command run in a test sets up logs on an output that is closed after it: nobody may inherit it."""
    root = logging.getLogger()
    ours, handlers, level = structlog.get_config(), list(root.handlers), root.level
    yield
    structlog.configure(**ours)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def mongo() -> Iterator[MongoService]:
    """A replica set of one mongod 6.0.27, shared: a test that kills or pauses starts its own."""
    with _had(MongoService.start) as service:
        yield service


@pytest.fixture(scope="session")
def replica_set() -> Iterator[MongoService]:
    """A replica set of three mongod 6.0.27, shared by tests that kill members of it and bring them back."""
    with _had(lambda: MongoService.start(members=3, own=True)) as service:
        yield service


@pytest.fixture(scope="session")
def redis_service() -> Iterator[RedisService]:
    """A Redis, shared: a test that kills, pauses or flushes it starts its own."""
    with _had(RedisService.start) as service:
        yield service


@pytest.fixture(scope="session")
def kafka_service() -> Iterator[KafkaService]:
    """A Kafka broker, shared: a test that kills or pauses it starts its own."""
    with _had(KafkaService.start) as service:
        yield service


@pytest.fixture
def fresh_database(mongo: MongoService) -> Iterator[str]:
    """A database name that no other test uses; the database is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    with (
        contextlib.suppress(PyMongoError),
        MongoClient[dict[str, object]](mongo.uri, serverSelectionTimeoutMS=5000) as client,
    ):
        client.drop_database(name)


def _had(start: Callable[[], T]) -> T:
    """Start a service, or fail with nothing but the sentence that says what to install."""
    try:
        return start()
    except Unavailable as error:
        pytest.fail(str(error), pytrace=False)
