"""A part of a test that runs as a process of its own, so that its work delays nobody whose time is measured.

It is told things on its standard input, a line of JSON each, and answers each with a line on its standard
output; when its input ends, it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[2]


class Child:
    """The test's end of it.

    Args:
        module: What runs there; it says a first thing by itself once it is ready.
        arguments: What it is given.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        self.greeting: dict[str, Any] = {}

    def ask(self, question: object) -> dict[str, Any]:
        """Say something, and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        self.greeting = self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


def say(answer: object) -> None:
    """The child's end: answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
