"""The command line.

Exit codes: 0 done, 1 the command's answer is no, something failed or what it was to show is not stored, 2 the
configuration or the call is wrong, 3 a server that the command needs does not answer, 70 a mistake of ours,
130 Ctrl-C.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    from eventbus.cli.leaving_out import leave_out  # noqa: PLC0415 - keeps the import of the package cheap

    leave_out()
    from eventbus.cli.commands import app  # noqa: PLC0415
    from eventbus.cli.ending import ended  # noqa: PLC0415

    try:
        app(prog_name="eventbus")
    except Exception as error:  # noqa: BLE001 - whoever types a command is told in a sentence
        sys.exit(ended(error))
