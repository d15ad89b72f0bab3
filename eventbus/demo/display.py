"""Shows what flows: a live table on a terminal, else a line every two seconds."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

__all__ = ["Display", "Row", "Snapshot", "complain", "say"]

_REFRESH_SECS: Final = 0.25
_LINE_SECS: Final = 2.0
_RATE_SECS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """One receiver now: how many events it has, and the latest in a few words."""

    count: int
    latest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown.

    Args:
        committed: Changes that MongoDB has committed.
        rows: The receivers by name.
        daemon: How the daemon is, in a word or two.
        doing: What the demo is doing.
    """

    committed: int
    rows: Mapping[str, Row]
    daemon: str
    doing: str


class Display:
    """Shows one snapshot after the other until told to stop.

    Args:
        look: Takes a snapshot.
        live: Whether to draw a table that moves; by default on a terminal.
    """

    def __init__(self, look: Callable[[], Snapshot], *, live: bool | None = None) -> None:
        self._look = look
        self._console = Console()
        self._live = self._console.is_terminal if live is None else live
        self._begun = anyio.current_time()
        self._history: deque[tuple[float, Mapping[str, int]]] = deque()

    async def show(self, until: anyio.Event) -> None:
        """Show until the event is set."""
        if not self._live:
            await self._print_lines(until)
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while not until.is_set():
                live.update(self._table(), refresh=True)
                await _pause(_REFRESH_SECS, until)
        self._console.print(self._table())

    async def _print_lines(self, until: anyio.Event) -> None:
        while not until.is_set():
            say(self._line())
            await _pause(_LINE_SECS, until)

    def _line(self) -> str:
        now = self._look()
        rates = self._rates(now)
        counts = [f"{name} {row.count}" for name, row in now.rows.items()]
        latest = next((row.latest for row in now.rows.values() if row.latest), "")
        return "  ".join(
            [
                f"{anyio.current_time() - self._begun:5.0f} s",
                f"committed {now.committed} ({rates['committed']:.0f}/s)",
                *counts,
                f"daemon {now.daemon}",
                now.doing,
                f"| {latest}",
            ]
        )

    def _table(self) -> Table:
        now = self._look()
        rates = self._rates(now)
        table = Table(title=f"{now.doing}; daemon {now.daemon}", title_justify="left", expand=True, box=None)
        table.add_column("", no_wrap=True)
        table.add_column("events", justify="right", no_wrap=True)
        table.add_column("per second", justify="right", no_wrap=True)
        table.add_column("latest", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_row("committed", str(now.committed), f"{rates['committed']:.0f}", "", style="bold")
        for name, row in now.rows.items():
            table.add_row(name, str(row.count), f"{rates[name]:.0f}", Text(row.latest))
        return table

    def _rates(self, now: Snapshot) -> Mapping[str, float]:
        """Events a second over the last seconds."""
        at = anyio.current_time()
        counts = {"committed": now.committed, **{name: row.count for name, row in now.rows.items()}}
        self._history.append((at, counts))
        while at - self._history[0][0] > _RATE_SECS and len(self._history) > 2:
            self._history.popleft()
        then, before = self._history[0]
        return {
            name: (count - before[name]) / max(at - then, _REFRESH_SECS) for name, count in counts.items()
        }


def say(text: str | Sequence[str]) -> None:
    """Print a line, or several, as they are, and at once."""
    _write(sys.stdout, text)


def complain(text: str | Sequence[str]) -> None:
    """Print a line, or several, of what went wrong."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str | Sequence[str]) -> None:
    lines = [text] if isinstance(text, str) else text
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


async def _pause(seconds: float, until: anyio.Event) -> None:
    with anyio.move_on_after(seconds):
        await until.wait()
