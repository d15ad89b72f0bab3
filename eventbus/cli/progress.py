"""Following operations until they are over: a bar on a terminal, plain lines elsewhere.

Whoever runs an operation stores its progress; following means to look again and again. Nothing here moves an
operation, so to stop following costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import anyio
import typer
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from eventbus.administration.operation_rows import share_done, summary, title
from eventbus.cli.printing import note, printable
from eventbus.errors import NotFound, Unreachable
from eventbus.state.operations import Operation, OperationStatus
from eventbus.state.store import ControlStore

__all__ = ["Display", "Lines", "Silence", "all_well", "follow", "operation_named"]

_LOOK_EVERY_SECS = 1.0
_LINE_EVERY_LOOKS = 5


class Display(Protocol):
    """Where progress is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, operations: Sequence[Operation]) -> None:
        """This is how far they have come."""


async def follow(
    store: ControlStore, ids: Sequence[str], display: Display | None = None
) -> Sequence[Operation]:
    """Show how operations come along until all of them are over.

    Args:
        store: Where they are.
        ids: Which.
        display: Where to show it; by default as suits standard output.

    Returns:
        How they ended.

    Raises:
        NotFound: One of them is not there.
    """
    with display or _display() as shown:
        while True:
            operations = await _all_of(store, ids)
            shown.show(operations)
            if all(operation.status.is_over for operation in operations):
                return operations
            await anyio.sleep(_LOOK_EVERY_SECS)


async def operation_named(store: ControlStore, operation_id: str) -> Operation:
    """The operation with this id.

    Raises:
        NotFound: There is none.
    """
    found = await store.find_operations(operation_id=operation_id)
    if not found:
        raise NotFound(f"no operation has the id {operation_id}")
    return found[0]


def all_well(operations: Sequence[Operation]) -> bool:
    """Whether all of them are done and left no event behind."""
    return all(
        operation.status is OperationStatus.DONE and not operation.progress.parked for operation in operations
    )


async def _all_of(store: ControlStore, ids: Sequence[str]) -> Sequence[Operation]:
    """What is stored of them, however long the store is away: the operations need nobody who watches."""
    is_away = False
    while True:
        try:
            return [await operation_named(store, operation_id) for operation_id in ids]
        except Unreachable as error:
            if not is_away:
                note(f"cannot look: {error}")
            is_away = True
            await anyio.sleep(_LOOK_EVERY_SECS)


def _display() -> Display:
    return _Bars() if sys.stdout.isatty() else Lines()


class Lines:
    """A line whenever an operation's status changes, and now and then while it moves."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[OperationStatus, str]] = {}
        self._looks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, operations: Sequence[Operation]) -> None:
        """See `Display`."""
        is_due = self._looks % _LINE_EVERY_LOOKS == 0
        self._looks += 1
        for operation in operations:
            status, text = self._shown.get(operation.id, (None, ""))
            line = f"{title(operation)}: {summary(operation)}"
            if operation.status is not status or (is_due and line != text):
                typer.echo(printable(line))
                self._shown[operation.id] = (operation.status, line)


class Silence:
    """Nothing, where only the end is of interest."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, operations: Sequence[Operation]) -> None:
        """See `Display`."""


class _Bars:
    """A bar for each operation, drawn again in place."""

    def __init__(self) -> None:
        text = TextColumn("{task.description}", markup=False)
        self._bars = Bars(
            text, BarColumn(), TextColumn("{task.fields[summary]}", markup=False), TimeElapsedColumn()
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, operations: Sequence[Operation]) -> None:
        """See `Display`."""
        for operation in operations:
            text = printable(summary(operation))
            if operation.id not in self._tasks:
                self._tasks[operation.id] = self._bars.add_task(title(operation), total=None, summary=text)
            share = share_done(operation)
            self._bars.update(
                self._tasks[operation.id],
                total=None if share is None else 1.0,
                completed=share or 0.0,
                summary=text,
            )
        self._bars.refresh()
