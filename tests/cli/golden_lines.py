"""Every command as it is typed on the installation of the golden tests: right ones, and wrong ones.

``CONFIG`` stands for the installation's configuration, ``NOWHERE`` for one whose servers are away, ``BROKEN``
for one that is wrong, ``LETTER`` for the id of a dead letter, ``URL`` for where the daemon is, ``TOKEN`` for
what it wants to be shown. A line may end with what is typed when the command asks, behind ``<<<``, or with
how many lines of the answer count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.cli.installation import OPERATION, SECOND_TIME, WAITING

__all__ = ["ELSEWHERE", "LINES"]

_OF_ONE: Final = """--match '{"document_key._id": %d}'"""

LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "dlq count": (
        "dlq count -c CONFIG --subscription stock",
        "dlq count -c CONFIG --subscription stock --json",
        "dlq count -c CONFIG --subscription stok",
        "dlq count -c CONFIG --match '{\"$where\": 1}'",
        "dlq count -c NOWHERE",
    ),
    "dlq discard": (
        f"dlq discard -c CONFIG --subscription orders {_OF_ONE % 1} <<<n",
        f"dlq discard -c CONFIG --subscription orders {_OF_ONE % 1} --yes",
        f"dlq discard -c CONFIG --subscription orders {_OF_ONE % 1} --yes",
        "dlq discard -c CONFIG --match nonsense --yes",
        "dlq discard -c NOWHERE --yes",
    ),
    "dlq export": (
        f"dlq export -c CONFIG --subscription stock {_OF_ONE % 1}",
        "dlq export -c CONFIG --subscription stock -o /nowhere/letters.jsonl",
        "dlq export -c NOWHERE",
    ),
    "dlq hold": (
        f"dlq hold -c CONFIG --subscription orders {_OF_ONE % 2} --yes",
        f"dlq hold -c CONFIG --subscription orders {_OF_ONE % 2} <<<n",
        "dlq hold -c NOWHERE --yes",
    ),
    "dlq list": (
        f"dlq list -c CONFIG --subscription stock {_OF_ONE % 1}",
        f"dlq list -c CONFIG --subscription stock {_OF_ONE % 1} --json",
        "dlq list -c CONFIG --subscription stock --route ledger",
        "dlq list -c CONFIG --status wrong",
        "dlq list -c BROKEN",
        "dlq list -c NOWHERE",
    ),
    "dlq replay": (
        f"dlq replay -c CONFIG --subscription orders {_OF_ONE % 3} --dry-run",
        f"dlq replay -c CONFIG --subscription orders {_OF_ONE % 3} --dry-run --json",
        f"dlq replay -c CONFIG --subscription orders {_OF_ONE % 3} --yes",
        f"dlq replay -c CONFIG --subscription orders {_OF_ONE % SECOND_TIME} --yes --detach",
        "dlq replay -c CONFIG --resume 0123456789",
        "dlq replay -c NOWHERE --yes",
    ),
    "dlq show": (
        "dlq show -c CONFIG LETTER",
        "dlq show -c CONFIG LETTER --json --body",
        "dlq show -c CONFIG ffffffffffffffffffffffffffffffff",
        "dlq show -c NOWHERE LETTER",
    ),
    "dlq unhold": (
        f"dlq hold -c CONFIG --subscription orders {_OF_ONE % 4} --yes",
        f"dlq unhold -c CONFIG --subscription orders {_OF_ONE % 4} --yes",
        "dlq unhold -c NOWHERE --yes",
    ),
    "doctor": ("doctor -c CONFIG stock", "doctor -c CONFIG stok", "doctor -c NOWHERE"),
    "explain": (
        "explain -c CONFIG stock",
        "explain -c CONFIG stock --json",
        "explain -c CONFIG stok",
        "explain -c BROKEN stock",
    ),
    "gaps": (
        "gaps -c CONFIG stock",
        "gaps -c CONFIG stock --json",
        "gaps -c CONFIG orders",
        "gaps -c CONFIG stok",
        "gaps -c NOWHERE",
    ),
    "init": (
        "init DIRECTORY/new.yaml --database shop --sink file=shop.jsonl --offline --yes",
        "init DIRECTORY/new.yaml --database shop --sink file=shop.jsonl --offline --yes",
        "init DIRECTORY/more.yaml --database shop --sink fiel=shop.jsonl --offline --yes",
        "init DIRECTORY/more.yaml --offline <<<",
    ),
    "operation cancel": (
        f"operation cancel -c CONFIG {WAITING}",
        f"operation cancel -c CONFIG {WAITING}",
        "operation cancel -c CONFIG nonsense",
        f"operation cancel -c NOWHERE {WAITING}",
    ),
    "operation list": (
        "operation list -c CONFIG --subscription stock",
        "operation list -c CONFIG --subscription stock --json",
        "operation list -c CONFIG --limit 0",
        "operation list -c NOWHERE",
    ),
    "operation show": (
        f"operation show -c CONFIG {OPERATION}",
        f"operation show -c CONFIG {OPERATION} --json",
        f"operation show -c CONFIG {OPERATION} --follow",
        "operation show -c CONFIG nonsense",
        f"operation show -c NOWHERE {OPERATION}",
    ),
    "pause": (
        'pause -c CONFIG orders --route feed --reason "a look"',
        "pause -c CONFIG orders --route feed",
        "resume -c CONFIG orders --route feed",
        "pause -c CONFIG orders --route fed",
        "pause -c NOWHERE orders",
    ),
    "plan": (
        "plan -c CONFIG stok",
        "plan -c CONFIG stock --window soon",
        "plan -c NOWHERE",
    ),
    "plugin new": (
        "plugin new spool --into DIRECTORY",
        "plugin new lines --kind source --into DIRECTORY",
        "plugin new tidy --kind stage --into DIRECTORY",
        "plugin new spool --into DIRECTORY",
        "plugin new kafka",
        "plugin new mongodb --kind source",
        "plugin new Eventbus-Spool",
        "plugin new eventbus",
        "plugin new on_error --kind stage",
        "plugin new spool --into /nowhere",
    ),
    "position forget": (
        "position forget -c CONFIG closed --route old <<<n",
        "position forget -c CONFIG closed --route old --yes",
        "position forget -c CONFIG stock --route ledger --yes",
        "position forget -c NOWHERE closed --route old --yes",
    ),
    "position set": (
        "position set -c CONFIG orders --route feed --to now --detach <<<n",
        "position set -c CONFIG orders --route feed --to now --detach --yes",
        "position set -c CONFIG orders --route feed --to soon --yes",
        "position set -c NOWHERE orders --route feed --to now --yes",
    ),
    "position show": (
        "position show -c CONFIG stock",
        "position show -c CONFIG stock --json",
        "position show -c CONFIG stok",
        "position show -c NOWHERE",
    ),
    "replay": (
        "replay -c CONFIG orders --route feed --from -1m --detach --yes",
        "replay -c CONFIG orders --route feed --from -1m <<<n",
        "replay -c CONFIG orders --route fed --from -1m --yes",
        "replay -c CONFIG orders --route feed --from yesterday --yes",
        "replay -c NOWHERE orders --route feed --from -1m --yes",
    ),
    "reload": (
        "reload --url URL --token TOKEN",
        "reload --url URL --token TOKEN --json",
        "reload --url URL --token nonsense",
        "reload --url URL",
        "reload --url http://127.0.0.1:1 --token TOKEN",
    ),
    "report": (
        "report -c CONFIG stock --url URL",
        "report -c CONFIG stock --url URL --format markdown",
        "report -c CONFIG stock --url URL --json",
        "report -c CONFIG stock --window 2h",
        "report -c NOWHERE",
    ),
    "resume": (
        "resume -c CONFIG orders --route spare",
        "resume -c CONFIG orders --route spare",
        "resume -c CONFIG order",
        "resume -c NOWHERE orders",
    ),
    "run": ("run -c BROKEN", "run", "run -c missing.yaml"),
    "schema": ("schema | head -4", "schema --cases | head -4", "schema --nonsense"),
    "simulate": (
        "simulate -c CONFIG stok --since 1h",
        "simulate -c CONFIG stock --since yesterday",
        "simulate -c NOWHERE --since 1h",
    ),
    "sink test": (
        "sink test -c CONFIG feed",
        "sink test -c CONFIG feed --json",
        "sink test -c CONFIG partner",
        "sink test -c CONFIG fed",
        "sink test -c NOWHERE feed",
    ),
    "snapshot": (
        "snapshot -c CONFIG orders --route feed --detach --yes",
        "snapshot -c CONFIG orders --route feed <<<n",
        "snapshot -c CONFIG orders --route feed --filter '[]' --yes",
        "snapshot -c NOWHERE orders --yes",
    ),
    "status": (
        "status -c CONFIG stock --url URL",
        "status -c CONFIG stock --url URL --json",
        "status -c CONFIG stok --url URL",
        "status -c NOWHERE",
    ),
    "tail": (
        "tail -c CONFIG stock --since 1h --limit 2",
        "tail -c CONFIG stock --since 1h --limit 2 --json",
        "tail -c CONFIG stock --format xml",
        "tail -c CONFIG stock --route legder",
        "tail -c NOWHERE stock",
        "tail -c NOWHERE stock --since 1h",
    ),
    "test": (
        "test CASES -k 'each of its items'",
        "test CASES -k 'each of its items' --json",
        "test CASES -k nonsense",
        "test BROKEN",
    ),
    "top": ("top -c CONFIG stock --url URL --once", "top -c CONFIG --every never", "top -c NOWHERE --once"),
    "validate": (
        "validate CONFIG",
        "validate CONFIG --connect",
        "validate BROKEN",
        "validate NOWHERE --connect",
    ),
}
"""What is typed, by command. A later line may follow from an earlier one of the same command only."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "demo": "tests/demo/test_demo.py::test_alone_it_starts_everything_and_loses_nothing",
    "plan": "tests/cli/test_plan.py::test_every_prospect",
    "plugin list": "tests/cli/test_plugin.py::test_what_is_made_is_found_and_can_be_configured",
    "run": "tests/e2e/test_drain.py::test_sigterm_drains_and_nothing_comes_twice",
    "simulate": "tests/e2e/test_preview.py::test_what_is_said_comes_true",
}
"""Commands whose good case is shown by another test, or both of them if there is no line above."""
