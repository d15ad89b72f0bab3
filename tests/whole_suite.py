"""The whole suite, in the order that takes the least time on two cores.

It is cut into parts, of which several run beside each other: the tests wait more than they work. A part that
ends makes room for the next, and the longest come first. Marked ``heavy`` are those that kill servers under
load, which run in twos when the rest is done. Marked ``alone`` are those that come last: they measure how
long something takes. What failed is run once more: a test that passes then depends on the machine's load, and
is to be mended. Tests marked ``dist`` are left to ``make dist-test``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.side_by_side import run

PYTEST = f"{sys.executable} -m pytest -q --durations=12"
END_TO_END = "tests/e2e"
FOLDERS = {
    "sinks": ("tests/sinks",),
    "end-to-end-1": (),
    "rest": (),
    "end-to-end-2": (),
    "state": ("tests/stages", "tests/state"),
    "sources": ("tests/sources",),
    "runtime": ("tests/runtime",),
    "commands": ("tests/api", "tests/cli"),
    "packages": ("plugins",),
}
"""What is in each part, in the order in which they begin; the tests of one part share their servers."""
STEPS = ((tuple(FOLDERS), 4), (("heavy-1", "heavy-2"), 2), (("alone",), 1))
"""Parts, and how many of them run at the same time: step by step."""
NOTHING_TO_RUN = 5
"""What pytest ends with then."""


def parts() -> dict[str, str]:
    """The command of each part, by name; each remembers its failures in a place of its own."""
    whole = [END_TO_END, *(folder for folders in FOLDERS.values() for folder in folders)]
    which = {
        **{name: f"-m 'not dist' {' '.join(folders)}" for name, folders in FOLDERS.items() if folders},
        "rest": f"-m 'not dist' tests {' '.join(f'--ignore={folder}' for folder in whole)}",
        **dict(_halves("end-to-end", "not heavy and not alone")),
        **dict(_halves("heavy", "heavy")),
        "alone": f"-m alone {END_TO_END}",
    }
    return {name: f"{PYTEST} -o cache_dir=.pytest_cache/{name} {tests}" for name, tests in which.items()}


def _halves(name: str, marked: str) -> Iterator[tuple[str, str]]:
    """Every other file of the tests of the whole daemon, and the others."""
    files = sorted(map(str, Path(END_TO_END).glob("test_*.py")))
    for number in (1, 2):
        yield f"{name}-{number}", f"-m '{marked}' {' '.join(files[number - 1 :: 2])}"


def environment() -> None:
    """Settle what all processes of the suite inherit: compiled modules are kept, Java compiles in haste."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1"


def beside_each_other(commands: Mapping[str, str], at_once: int) -> bool:
    """Run parts to their end, and show of each what took long, or all that it wrote if it failed.

    Returns:
        Whether all passed.
    """
    passed = True
    print(f"{', '.join(commands)}: {at_once} at a time", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(run, command): name for name, command in commands.items()}
        for ended in as_completed(running):
            command, status, output = ended.result()
            shown = f"$ {command}\n{output}" if status else output[output.rfind("= slowest") :]
            print(f"{running[ended]}\n{shown}", flush=True)
            passed &= status == 0
    return passed


def failures(part: str) -> bool:
    """Whether a part has anything to run once more."""
    return Path(f".pytest_cache/{part}/v/cache/lastfailed").exists()


def main() -> int:
    """Run it.

    Returns:
        The exit code: 0 if everything passed, at the second try at the latest.
    """
    environment()
    commands = parts()
    passed = [beside_each_other({name: commands[name] for name in names}, most) for names, most in STEPS]
    if all(passed):
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
