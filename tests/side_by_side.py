"""Runs commands at the same time and shows the output of each when it ends; fails if any failed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def run(command: str) -> tuple[str, int, str]:
    """One command to its end."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    return command, done.returncode, done.stdout + done.stderr


def main(commands: list[str]) -> int:
    """All commands to their end."""
    with ThreadPoolExecutor(len(commands)) as pool:
        results = list(pool.map(run, commands))
    for command, status, output in results:
        if status:
            sys.stdout.write(f"$ {command}\n{output}\n")
        else:
            sys.stdout.write("\n".join(output.strip().splitlines()[-1:]) + "\n")
    return int(any(status for _, status, _ in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
