"""Servers and their data end with the process that started them, however it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services

STARTING = """
import json, os, signal
from eventbus.devservices import MongoService, RedisService
redis, mongo = RedisService.start(own=True), MongoService.start(own=True)
servers = [*redis._servers, *mongo._servers]
pids = [server.pid for server in servers] + [server._directory._keeper.pid for server in servers]
directories = [str(server.directory) for server in servers]
def tell(**what):
    print(json.dumps(what), flush=True)
tell(pids=pids, directories=directories)
"""


class Started:
    """A process that has started a Redis and a MongoDB, what it tells, and their ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        told = self.told()
        self.redis, self.mongo, *self.keepers = told["pids"]
        self.directories = [Path(path) for path in told["directories"]]
        self._ends = {pid: os.pidfd_open(pid) for pid in told["pids"]}

    def told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def wait_for_the_end_of(self, *pids: int) -> None:
        """Wait for the very processes, not for their numbers, which may be given to others."""
        for pid in pids:
            ended, _, _ = select.select([self._ends[pid]], [], [], 15)
            assert ended, f"process {pid} is still there"

    def assert_nothing_is_left(self) -> None:
        """A keeper removes its directory before it ends."""
        self.wait_for_the_end_of(*self._ends)
        assert not [path for path in self.directories if path.exists()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.wait_for_the_end_of(*self._ends)
        for descriptor in self._ends.values():
            os.close(descriptor)


@pytest.fixture
def start() -> Iterator[Callable[[str], Started]]:
    """Start a process that starts servers and then does what is given."""
    with ExitStack() as stack:

        def run(then: str) -> Started:
            script = STARTING + textwrap.dedent(then)
            process = subprocess.Popen(
                [sys.executable, "-c", script],
                env={**os.environ, "DOCKER_HOST": "none"},  # processes, not containers, are tested here
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started = Started(process)
            stack.callback(started.close)
            return started

        yield run


def test_sigkill_of_the_parent_ends_servers_and_data(start: Callable[[str], Started]) -> None:
    """Nobody is left to clean up but the keepers, and they do."""
    started = start("signal.pause()")
    started.process.kill()
    started.assert_nothing_is_left()


def test_a_process_forked_from_the_parent_does_not_keep_them(start: Callable[[str], Started]) -> None:
    """It holds the keepers' pipes open, so the parent itself is watched too; a halted server ends as well."""
    started = start(
        """
        child = os.fork()
        if child:
            redis.pause()
            tell(child=child)
        signal.pause()
        """
    )
    child = os.pidfd_open(started.told()["child"])
    try:
        started.process.kill()
        started.assert_nothing_is_left()
    finally:
        signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)


def test_ctrl_c_reaches_the_parent_alone_which_then_stops_them(start: Callable[[str], Started]) -> None:
    """A terminal sends SIGINT to its whole process group; servers and keepers are not in it."""
    started = start(
        """
        try:
            tell(sessions=[os.getsid(pid) == os.getsid(0) for pid in pids])
            signal.pause()
        except KeyboardInterrupt:
            tell(running=redis.running and mongo.running)
            redis.stop()
            mongo.stop()
            tell(left=[path for path in directories if os.path.exists(path)])
        """
    )
    assert started.told() == {"sessions": [False, False, False, False]}
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.told() == {"running": True}
    assert started.told() == {"left": []}
    assert started.process.wait(10) == 0
    started.assert_nothing_is_left()


def test_a_parent_that_forgets_to_stop_them_leaves_nothing(start: Callable[[str], Started]) -> None:
    """The end of the process is enough."""
    started = start("")
    assert started.process.wait(10) == 0
    started.assert_nothing_is_left()


def test_a_killed_keeper_takes_its_server_with_it(start: Callable[[str], Started]) -> None:
    """The kernel sees to it, and whoever asks for the server then is told."""
    started = start(
        """
        redis._servers[0]._directory._keeper.wait()
        try:
            redis.restart()
        except Exception as error:
            redis.stop()
            tell(said=str(error), left=os.path.exists(directories[0]))
        """
    )
    os.kill(started.keepers[0], signal.SIGKILL)
    started.wait_for_the_end_of(started.redis)
    assert started.told() == {"said": "The keeper of redis is gone, and so is redis.", "left": False}
