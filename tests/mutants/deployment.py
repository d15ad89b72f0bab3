"""Deliberate mistakes in what the daemon says to its surroundings."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["DEPLOYMENT_MUTANTS"]

DAEMON = "daemon.py"
MANAGER = "api/service_manager.py"
TESTS = "tests/api/test_service_manager.py"
SYSTEMD = "tests/e2e/test_systemd.py"

DEPLOYMENT_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a stuck process says that it is alive",
        "who is stuck is started again",
        MANAGER,
        "            if live().ok:\n                self._tell",
        "            if live():\n                self._tell",
        f"{TESTS}::test_a_process_that_is_stuck_does_not_say_that_it_is_alive",
    ),
    Mutant(
        "the watchdog is told just in time",
        "who is alive is not ended",
        MANAGER,
        "self._watchdog_secs / 2",
        "self._watchdog_secs",
        f"{TESTS}::test_it_is_heard_twice_as_often_as_it_must",
    ),
    Mutant(
        "a manager that does not read is waited for",
        "nobody outside holds the daemon up",
        MANAGER,
        "socket.SOCK_DGRAM | socket.SOCK_NONBLOCK",
        "socket.SOCK_DGRAM",
        f"{TESTS}::test_a_manager_that_does_not_read_holds_nobody_up",
    ),
    Mutant(
        "a daemon is ready when it is started",
        "ready means that changes are carried",
        DAEMON,
        "self._service_manager.waiting(",
        "self._service_manager.ready(",
        f"{SYSTEMD}::test_a_daemon_that_waits_for_mongodb_says_so_and_is_not_ready",
    ),
    Mutant(
        "nobody is told of the end",
        "a drain is no fault",
        DAEMON,
        "                self._service_manager.stopping()\n",
        "",
        f"{SYSTEMD}::test_it_is_ready_when_it_carries_alive_while_it_does_and_says_that_it_stops",
    ),
)
