"""The whole demo, as its users start it: real servers, the daemon as its own process, signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pymongo import MongoClient
from redis import Redis

from eventbus.demo import run
from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.demo.processes import started_with, wait_for

pytestmark = pytest.mark.services

LAST_LINE = re.compile(
    r"demo: committed=(\d+) webhook=(\d+) redis=(\d+) file=(\d+) kafka=(\d+|off) lost=(\d+) duplicated=(\d+)"
)
AT_WORK = "the shop is at work"


class Demo:
    """`eventbus demo` in a session of its own, as in a terminal.

    Args:
        arguments: What follows the command.
        directory: Where its temporary files go.
        servers: Variables that name servers; none for servers of its own.
    """

    def __init__(self, *arguments: str, directory: Path, servers: Mapping[str, str]) -> None:
        self.mark = uuid.uuid4().hex
        self.directory = directory
        self.output = directory / "output.txt"
        own = {"DEMO_TEST_MARK": self.mark, "TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"}
        named = ("MONGODB_URI", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "DEMO_SECONDS", "DEMO_RATE")
        inherited = {name: value for name, value in os.environ.items() if name not in named}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eventbus", "demo", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**inherited, **servers, **own},
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_until_it_says(self, pattern: str) -> None:
        def said() -> object:
            return re.search(pattern, self.said())

        wait_for(lambda: said() or self.process.poll() is not None, repr(pattern), secs=120)
        assert said(), self.said()

    def press_ctrl_c(self) -> None:
        """As a terminal does: to every process of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for the end, and see that nothing is left."""
        code = self.process.wait(120)
        wait_for(lambda: not self.left(), "end of its processes", secs=20)
        return code

    def left(self) -> list[int]:
        return started_with("DEMO_TEST_MARK", self.mark)

    def last_line(self) -> str:
        return self.said().splitlines()[-1]

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir() if path != self.output)


@pytest.fixture
def servers(
    mongo: MongoService, redis_service: RedisService, kafka_service: KafkaService
) -> Mapping[str, str]:
    return {
        "MONGODB_URI": mongo.uri,
        "REDIS_URL": redis_service.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_service.bootstrap_servers,
    }


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    """Demos that a test has started; those that are still there in the end are killed."""
    started: list[Demo] = []
    yield started
    for demo in started:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def start(demos: list[Demo], *arguments: str, directory: Path, servers: Mapping[str, str]) -> Demo:
    demo = Demo(*arguments, directory=directory, servers=servers)
    demos.append(demo)
    return demo


def test_alone_it_starts_everything_and_loses_nothing(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, "--seconds", "6", "--rate", "150", directory=tmp_path, servers={})

    assert demo.end() == 0, demo.said()

    numbers = LAST_LINE.fullmatch(demo.last_line())
    assert numbers is not None, demo.said()
    committed, *received = numbers.groups()
    assert int(committed) > 400
    assert received == [committed] * 4 + ["0", "0"], demo.said()
    assert demo.kept() == []
    assert "Traceback" not in demo.said()


def test_on_servers_of_somebody_else_it_leaves_nothing(
    demos: list[Demo], tmp_path: Path, servers: Mapping[str, str]
) -> None:
    with (
        MongoClient[dict[str, object]](servers["MONGODB_URI"]) as mongo,
        Redis.from_url(servers["REDIS_URL"]) as redis,
    ):
        before = set(mongo.list_database_names()), set(redis.keys())

        demo = start(demos, "--seconds", "2", directory=tmp_path, servers=servers)
        assert demo.end() == 0, demo.said()

        assert (set(mongo.list_database_names()), set(redis.keys())) == before
    assert LAST_LINE.fullmatch(demo.last_line())


def test_ctrl_c_ends_the_work_and_the_rest_arrives(
    demos: list[Demo], tmp_path: Path, servers: Mapping[str, str]
) -> None:
    demo = start(demos, directory=tmp_path, servers=servers)
    demo.wait_until_it_says("committed [1-9]")

    demo.press_ctrl_c()

    assert demo.end() == 0, demo.said()
    numbers = LAST_LINE.fullmatch(demo.last_line())
    assert numbers is not None, demo.said()
    assert int(numbers[1]) > 0
    assert numbers.groups()[1:] == (*[numbers[1]] * 4, "0", "0")
    assert demo.kept() == []


@pytest.mark.parametrize("words", ["Starting MongoDB", "Ctrl-C ends", AT_WORK])
def test_two_ctrl_c_end_it_at_once_wherever_it_is(
    demos: list[Demo], tmp_path: Path, servers: Mapping[str, str], words: str
) -> None:
    demo = start(demos, directory=tmp_path, servers=servers)
    demo.wait_until_it_says(words)

    demo.press_ctrl_c()
    wait_for(lambda: demo.process.poll() is not None or "Ending" in demo.said(), "word of the first", secs=5)
    if demo.process.poll() is None:
        demo.press_ctrl_c()

    assert demo.end() in {130, -signal.SIGINT}, demo.said()  # a shell calls both 130
    assert "Traceback" not in demo.said()
    assert demo.kept() == []


def test_ctrl_c_while_servers_of_its_own_start_leaves_none(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, directory=tmp_path, servers={})
    demo.wait_until_it_says("Starting MongoDB")

    demo.press_ctrl_c()

    assert demo.end() == 130
    assert "Traceback" not in demo.said()
    wait_for(lambda: demo.kept() == [], "the end of what keeps a server that was starting")


def test_a_killed_demo_leaves_no_process(
    demos: list[Demo], tmp_path: Path, servers: Mapping[str, str]
) -> None:
    demo = start(demos, directory=tmp_path, servers=servers)
    demo.wait_until_it_says(AT_WORK)
    assert len(demo.left()) > 1

    demo.process.kill()

    assert demo.end() == -signal.SIGKILL


@pytest.mark.parametrize("arguments", [{"seconds": 0.0}, {"rate": 0.0}, {"rate": -1.0}])
def test_arguments_that_make_no_sense_are_refused(
    arguments: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(**arguments) == 2
    assert "more than 0" in capsys.readouterr().err
