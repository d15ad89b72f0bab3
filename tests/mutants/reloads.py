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
        "(sinks_of(declared) & changed_sinks or not same(before[name], declared))",
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
    Mutant(
        "reload: what is equal is the same",
        "whoever reads by another filter is begun anew",
        "reloading/comparing.py",
        "    if type(one) is not type(other):\n        return False\n",
        "",
        f"{COMPARING}::test_a_variable_of_another_type_is_another_value",
    ),
    Mutant(
        "reload: expressions are never the same",
        "a reload without a change restarts nothing",
        "expressions/expression.py",
        "return (self.text, self._environment) == (other.text, other._environment)",
        "return self is other",
        "tests/expressions/test_equality.py",
    ),
    Mutant(
        "an expression is what is written, whatever it calls",
        "expressions that call other functions differ",
        "expressions/expression.py",
        "return (self.text, self._environment) == (other.text, other._environment)",
        "return self.text == other.text",
        "tests/expressions/test_equality.py",
    ),
)
