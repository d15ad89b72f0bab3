"""How far a stretch of history is read: a bar on a terminal, else lines, always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from eventbus.cli.printing import note
from eventbus.preview.walking import Report

__all__ = ["reading"]

_LINE_EVERY_SECS: Final = 5.0


@contextmanager
def reading(subscription: str) -> Iterator[Report]:
    """Show how a stretch comes along while the body runs; a quick one says nothing off a terminal.

    Args:
        subscription: Its name.
    """
    if not sys.stderr.isatty():
        yield _Lines(subscription).report
        return
    text, count = TextColumn("{task.description}"), TextColumn("{task.fields[read]} changes")
    console = Console(stderr=True)
    with Progress(text, BarColumn(), count, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(subscription, total=1.0, read=0)
        yield lambda share, read: bars.update(task, completed=share, read=read)


class _Lines:
    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self._said_at = time.monotonic()

    def report(self, share: float, read: int) -> None:
        """Say it now and then."""
        now = time.monotonic()
        if now - self._said_at >= _LINE_EVERY_SECS:
            self._said_at = now
            note(f"{self._subscription}: {share:.0%} of the stretch, {read} changes")
