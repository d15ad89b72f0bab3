"""Deliberate mistakes in putting another configuration in force."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["RELOAD_MUTANTS"]

COMPARING = "tests/reloading/test_comparing.py"
SCENES = "tests/runtime/test_reloads.py"

RELOAD_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "reload: a changed sink concerns no subscription",
        "whoever uses a changed sink is begun anew",
        "reloading/comparing.py",
        "(_sinks_of(declared) & changed_sinks or not same(before[name], declared))",
        "not same(before[name], declared)",
        f"{COMPARING}::test_a_secret_in_a_file_changes_who_uses_it",
    ),
    Mutant(
        "reload: the lease is given back in between",
        "a reload moves no subscription to another daemon",
        "runtime/subscription.py",
        "self._keeps_lease = keeps_lease\n",
        "self._keeps_lease = False\n",
        f"{SCENES}::test_the_lease_is_kept_over_any_number_of_reloads",
    ),
    Mutant(
        "reload: a replay's last position is not worth saving",
        "nothing comes twice after a drain",
        "runtime/operations.py",
        "if not self._is_ending:",
        "if route.name:",
        f"{SCENES}::test_a_replay_goes_on",
    ),
    Mutant(
        "reload: a file is read as soon as it changes",
        "what is still being written is left alone",
        "reloading/watching.py",
        "if now == last and now != files.loaded:",
        "if now != files.loaded:",
        "tests/reloading/test_watching.py::test_a_file_that_is_still_being_written_is_left_alone",
    ),
)
