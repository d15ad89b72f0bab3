"""Deliberate mistakes in what a daemon says of its health."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["HEALTH_MUTANTS"]

LIVENESS = "tests/runtime/test_liveness.py"

HEALTH_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "libraries load whatever is installed",
        "a daemon holds what it needs",
        "cli/__init__.py",
        "    leave_out()\n",
        "",
        "tests/e2e/test_loaded.py::test_no_library_is_loaded_that_is_not_used",
    ),
    Mutant(
        "a reader without room is stuck",
        "who waits for a sink is not stuck",
        "runtime/flow.py",
        "                    progress.resting()  # routes may have no room for as long as they like\n",
        "",
        f"{LIVENESS}::test_who_waits_for_a_sink_or_an_operator_is_not_stuck",
    ),
    Mutant(
        "a reader that waits for the server is stuck",
        "a restart would begin the server's search anew, for ever",
        "sources/mongodb/reader.py",
        "        self._asked_at = anyio.current_time()\n        progress.resting()\n",
        "        self._asked_at = anyio.current_time()\n",
        "tests/sources/test_mongodb_polls.py::test_a_reader_that_waits_for_the_server_is_not_stuck",
    ),
    Mutant(
        "a task that has ended is forgotten",
        "what stands still or has ended is named",
        "telemetry/progress.py",
        "        task.has_ended = not ends\n",
        "",
        f"{LIVENESS}::test_a_task_that_has_ended_by_itself_is_named",
    ),
    Mutant(
        "a crash loop is ready in turns",
        "a subscription that crashes is never ready",
        "runtime/status.py",
        "    elif ending is not None and ending.is_crash and _is_on_probation(life):\n",
        "    elif False:\n",
        f"{LIVENESS}::test_a_subscription_that_crashes_is_never_ready",
    ),
    Mutant(
        "every route is critical",
        "a route that is not critical makes nothing unready",
        "runtime/status.py",
        '        is_critical = spec.routes[name.partition("@")[0]].is_critical\n',
        "        is_critical = True\n",
        f"{LIVENESS}::test_a_route_that_is_not_critical_makes_nothing_unready",
    ),
)
