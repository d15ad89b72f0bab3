"""Deliberate mistakes in what operators are told."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["OPERATING_MUTANTS"]

NEEDS = "doctor/needs.py"
OPLOG = "doctor/oplog.py"
PRIVILEGES = "tests/doctor/test_privileges.py"
OPLOGS = "tests/doctor/test_oplog.py"

OPERATING_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a privilege on a collection is enough for the database",
        "exactly what is missing is named",
        NEEDS,
        "single = options.collections[0] if options.collections and len(options.collections) == 1 else",
        "single = options.collections[0] if options.collections else",
        f"{PRIVILEGES}::test_a_role_that_is_there_gets_what_it_lacks",
    ),
    Mutant(
        "all databases include local",
        "exactly what is missing is named",
        NEEDS,
        "    if need.database not in _NOT_NORMAL:\n        yield",
        "    if need.database is not None:\n        yield",
        f"{PRIVILEGES}::test_local_is_no_normal_database",
    ),
    Mutant(
        "the state is only read",
        "what is shown is enough",
        NEEDS,
        '("createIndex", "find", "insert", "remove", "update")',
        '("createIndex", "find", "insert", "remove")',
        f"{PRIVILEGES}::test_what_is_missing_is_named_and_what_is_shown_mends_it",
    ),
    Mutant(
        "a whole oplog forgets",
        "no alarm without a danger",
        OPLOG,
        "        if self.is_whole:\n            return False\n",
        "",
        f"{OPLOGS}::test_what_counts_is_how_far_it_will_reach_back_once_it_is_full",
    ),
    Mutant(
        "a message is sent to see",
        "nothing is written unless that is asked for",
        "doctor/targets.py",
        "if not write or finding.mend:",
        "if finding.mend:",
        "tests/doctor/test_targets.py::test_no_message_is_written_unless_that_is_asked_for",
    ),
)
