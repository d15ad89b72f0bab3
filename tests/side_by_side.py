"""Runs commands at the same time and shows the output of each when it ends; fails if any failed.

With ``--watch`` the output of the first is shown as it comes.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def run(command: str) -> tuple[str, int, str]:
    """One command to its end."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    return command, done.returncode, done.stdout + done.stderr


def watched(command: str) -> int:
    """One command to its end, before everybody's eyes."""
    return subprocess.run(shlex.split(command), check=False).returncode


def main(arguments: list[str]) -> int:
    """All commands to their end."""
    watch = arguments[:1] == ["--watch"]
    first, *rest = arguments[watch:]
    with ThreadPoolExecutor(len(arguments)) as pool:
        others = [pool.submit(run, command) for command in (rest if watch else [first, *rest])]
        failed = watched(first) if watch else 0
        results = [other.result() for other in others]
    for command, status, output in results:
        if status:
            sys.stdout.write(f"$ {command}\n{output}\n")
        else:
            sys.stdout.write("\n".join(output.strip().splitlines()[-1:]) + "\n")
    return int(bool(failed) or any(status for _, status, _ in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
