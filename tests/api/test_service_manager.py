"""What systemd hears, on sockets as it makes them."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import structlog

from eventbus.api.server import Health
from eventbus.api.service_manager import ServiceManager
from tests.runtime.clock import run_virtual

ALIVE, STUCK = Health(ok=True), Health(ok=False)


class Listener:
    """The manager's end.

    Args:
        name: Where it listens, as NOTIFY_SOCKET names it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def heard(self) -> list[list[str]]:
        """The lines of each datagram since the last time."""
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    """Both kinds of sockets; a path is short, for it may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="sd") as folder:
        path = request.param == "a path"
        listener = Listener(str(Path(folder) / "notify") if path else f"@eventbus-{uuid.uuid4().hex}")
        yield listener
        listener.close()


def test_each_word_is_a_datagram_of_lines(listener: Listener) -> None:
    """As sd_notify(3) has it; a reason of several lines becomes one, or its second line would be a word."""
    manager = ServiceManager({"NOTIFY_SOCKET": listener.name})
    manager.waiting("waits for a server:\nREADY=1 it is not")
    manager.ready("carries orders")
    manager.stopping()
    assert listener.heard() == [
        ["STATUS=waits for a server: READY=1 it is not"],
        ["READY=1", "STATUS=carries orders"],
        ["STOPPING=1", "STATUS=draining"],
    ]


def _kept_alive(environ: dict[str, str], healths: list[Health], secs: float) -> None:
    """Run for so long; each look at the health takes the next one, and the last one stays."""

    async def body() -> None:
        with anyio.move_on_after(secs):
            await ServiceManager(environ).keep_alive(
                lambda: healths.pop(0) if len(healths) > 1 else healths[0]
            )

    run_virtual(body)


def test_it_is_heard_twice_as_often_as_it_must(listener: Listener) -> None:
    """A minute's watchdog is told every half minute, at once first."""
    _kept_alive({"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "60000000"}, [ALIVE], 100)
    assert listener.heard() == [["WATCHDOG=1"]] * 4


def test_a_process_that_is_stuck_does_not_say_that_it_is_alive(listener: Listener) -> None:
    """Though its loop runs; and it does so again once it is no longer stuck."""
    healths = [ALIVE, STUCK, STUCK, ALIVE]
    _kept_alive({"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "2000000"}, healths, 3.5)
    assert listener.heard() == [["WATCHDOG=1"]] * 2


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid() + 1)},
    ],
)
def test_who_does_not_wait_for_it_is_not_told(listener: Listener, more: dict[str, str]) -> None:
    """No watchdog, or that of another process whose environment we have."""
    _kept_alive({"NOTIFY_SOCKET": listener.name, **more}, [ALIVE], 10)
    assert listener.heard() == []


def test_our_own_watchdog_is_told(listener: Listener) -> None:
    """WATCHDOG_PID is ours."""
    more = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    _kept_alive({"NOTIFY_SOCKET": listener.name, **more}, [ALIVE], 0.5)
    assert listener.heard() == [["WATCHDOG=1"]]


@pytest.mark.parametrize("name", ["", "relative/path", "vsock:2:9"])
def test_without_a_socket_that_is_known_nothing_happens(name: str) -> None:
    """Not under systemd, or under one that speaks something else."""
    manager = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})
    with structlog.testing.capture_logs() as lines:
        manager.ready("carries orders")
        run_virtual(lambda: manager.keep_alive(lambda: ALIVE))
    assert lines == []


def test_a_manager_that_is_gone_is_a_line_and_no_more(listener: Listener) -> None:
    """Once until something gets through again."""
    manager = ServiceManager({"NOTIFY_SOCKET": listener.name + "-gone"})
    with structlog.testing.capture_logs() as lines:
        manager.ready("carries orders")
        manager.stopping()
    assert [line["event"] for line in lines] == ["service_manager_not_told"]


@pytest.mark.timeout(20)
def test_a_manager_that_does_not_read_holds_nobody_up(listener: Listener) -> None:
    """Its queue is full after a few hundred: what does not fit is left out, not waited for."""
    manager = ServiceManager({"NOTIFY_SOCKET": listener.name})
    with structlog.testing.capture_logs() as lines:
        for _ in range(5000):
            manager.waiting("x" * 200)
    assert [line["event"] for line in lines] == ["service_manager_not_told"]
    assert listener.heard()
    with structlog.testing.capture_logs() as lines:
        manager.ready("carries orders")
    assert (lines, listener.heard()) == ([], [["READY=1", "STATUS=carries orders"]])
