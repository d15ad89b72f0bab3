"""The whole suite, in the order that takes the least time on two cores.

What needs no server runs beside the tests on real servers, of which there are two parts, and after each of
the three a part of those of the whole daemon, end to end: they wait more than they work. Marked ``alone``
are those that come last: they measure how routes delay each other, or fill the machine. What failed
is run once more: a test that passes then depends on the machine's load, and is to be mended. Tests marked
``dist`` are left to ``make dist-test``.

    python -m tests.whole_suite [first | second | beside]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.side_by_side import main as side_by_side

PYTEST = f"{sys.executable} -m pytest --durations=12"
END_TO_END = "tests/e2e"
ENDS = ("tests/sources", "tests/sinks", "plugins")
"""Where we meet the servers: half of the tests that need one."""
LANES = {
    "first": ("servers", "end-to-end-1"),
    "second": ("sources-and-sinks", "end-to-end-2"),
    "beside": ("no-servers", "end-to-end-3"),
}
"""The parts that run in turn, in each of three processes beside each other."""
NOTHING_TO_RUN = 5
"""What pytest ends with then."""


def parts() -> dict[str, str]:
    """The command of each part, by name; each remembers its failures in a place of its own."""
    files = sorted(map(str, Path(END_TO_END).glob("test_*.py")))
    thirds = {
        f"end-to-end-{number}": f"-q -m 'not alone' {' '.join(files[number - 1 :: 3])}"
        for number in (1, 2, 3)
    }
    ignored = " ".join(f"--ignore={path}" for path in (END_TO_END, *ENDS))
    of_part = {
        "servers": f"-m 'services and not dist' {ignored}",
        "sources-and-sinks": f"-q -m 'services and not dist' {' '.join(ENDS)}",
        "no-servers": f"-q -m 'not services and not dist' --ignore={END_TO_END}",
        **thirds,
        "alone": f"-m alone {END_TO_END}",
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
    lanes = [f"{sys.executable} -m tests.whole_suite {name}" for name in LANES]
    failed = side_by_side(["--watch", *lanes])
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


def lane(name: str) -> int:
    """Run the parts of one of the two.

    Returns:
        The exit code: 0 if everything passed.
    """
    commands = parts()
    return max([subprocess.call(commands[part], shell=True) for part in LANES[name]])


if __name__ == "__main__":
    sys.exit(lane(sys.argv[1]) if sys.argv[1:] else main())
