"""Which lasting tasks make progress: each says when it will be heard of next, and is missed if it is not.

A task that waits for somebody else's sake, such as a reader whose routes have no room, rests: it is not
missed. Where nobody listens nothing is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

import anyio

__all__ = ["Progress", "expected", "reported", "resting"]


class Progress:
    """The tasks of one daemon.

    Args:
        margin_secs: How much later than it said a task may be heard of.
    """

    def __init__(self, *, margin_secs: float) -> None:
        self._margin_secs = margin_secs
        self._tasks: list[_Task] = []

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to all tasks that are started in the body, by whomever."""
        before = _LISTENING.set(self)
        try:
            yield
        finally:
            _LISTENING.reset(before)

    def missing(self, now: float) -> list[str]:
        """One sentence for each task that has ended though it should not, or stands still."""
        return [said for task in self._tasks if (said := task.missed(now, self._margin_secs))]

    def add(self, name: str) -> _Task:
        """A task begins, and rests."""
        task = _Task(name)
        self._tasks.append(task)
        return task

    def remove(self, task: _Task) -> None:
        """A task has ended as it should."""
        self._tasks.remove(task)


class _Task:
    """What is known of one task."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.has_ended = False
        self.heard_at = 0.0
        self.due_at = inf

    def missed(self, now: float, margin_secs: float) -> str | None:
        """Why it is missed; None if it is not."""
        if self.has_ended:
            return f"{self.name} has ended"
        if now <= self.due_at + margin_secs:
            return None
        return f"{self.name} has made no progress for {now - self.heard_at:.0f} s"


_LISTENING: ContextVar[Progress | None] = ContextVar("progress", default=None)
_OWN: ContextVar[_Task | None] = ContextVar("task", default=None)


@contextmanager
def reported(name: str, *, ends: bool = False) -> Iterator[None]:
    """The body is a long-running task.

    Args:
        name: What it is, for people.
        ends: Whether its end is nothing unusual; otherwise it may only be cancelled, or fail.
    """
    progress = _LISTENING.get()
    if progress is None:
        yield
        return
    task = progress.add(name)
    before = _OWN.set(task)
    try:
        yield
        task.has_ended = not ends
    finally:
        _OWN.reset(before)
        if not task.has_ended:
            progress.remove(task)


def expected(within_secs: float) -> None:
    """The task that runs this makes progress, and will be heard of again within so long."""
    task = _OWN.get()
    if task is not None:
        task.heard_at = anyio.current_time()
        task.due_at = task.heard_at + within_secs


def resting() -> None:
    """The task that runs this waits for somebody else, for as long as it takes."""
    task = _OWN.get()
    if task is not None:
        task.due_at = inf
