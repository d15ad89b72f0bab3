"""The whole suite, in the order that takes the least time on two cores.

What needs no server runs beside the tests on real servers; those that measure how routes delay each other,
and those that kill what they run on, come last and alone. What failed is run once more: a test that passes
then depends on the machine's load, and is to be mended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.side_by_side import main as side_by_side

PYTEST = f"{sys.executable} -m pytest"
ALONE = "tests/e2e"
NOTHING_TO_RUN = 5
"""What pytest ends with then."""


def parts() -> dict[str, str]:
    """The command of each part, by name; each remembers its failures in a place of its own."""
    of_part = {
        "servers": f"-m services --ignore={ALONE}",
        "no-servers": f"-q -m 'not services' --ignore={ALONE}",
        "alone": ALONE,
    }
    return {name: f"{PYTEST} -o cache_dir=.pytest_cache/{name} {which}" for name, which in of_part.items()}


def failures(part: str) -> bool:
    """Whether a part has anything to run once more."""
    return Path(f".pytest_cache/{part}/v/cache/lastfailed").exists()


def main() -> int:
    """Run it.

    Returns:
        The exit code: 0 if everything passed, at the second try at the latest.
    """
    commands = parts()
    failed = side_by_side(["--watch", commands["servers"], commands["no-servers"]])
    failed |= side_by_side(["--watch", commands["alone"]])
    if not failed:
        return 0
    print("Once more, what failed: a test that passes now depends on the machine's load and is to be mended.")
    again = [
        f"{command} --last-failed --last-failed-no-failures=none"
        for part, command in commands.items()
        if failures(part)
    ]
    ended = [subprocess.call(command, shell=True) for command in again]
    return int(not ended or any(status not in (0, NOTHING_TO_RUN) for status in ended))


if __name__ == "__main__":
    sys.exit(main())
