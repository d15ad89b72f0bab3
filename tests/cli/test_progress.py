"""Following an operation to its end: what is shown on the way, and when it is over."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
import pytest

from eventbus.administration.operation_rows import share_done, summary
from eventbus.cli.progress import Lines, all_well, follow
from eventbus.errors import NotFound
from eventbus.model import ClusterTime, Position
from eventbus.state.operations import Operation, OperationKind, OperationStatus, Progress
from eventbus.state.store import Store
from tests.cli.by_hand import move
from tests.cli.command_line import CommandLine

WAITING, RUNNING, DONE = OperationStatus.WAITING, OperationStatus.RUNNING, OperationStatus.DONE


def _operation(**fields: Any) -> Operation:
    given: dict[str, Any] = {"kind": OperationKind.DEAD_LETTERS, "subscription": "orders", "route": "hook"}
    return Operation(**{"id": "0123456789", **given, **fields})


class Watcher:
    """A display that remembers, and tells who waits for it."""

    def __init__(self, seen: Callable[[Sequence[Operation]], None]) -> None:
        self._seen = seen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, operations: Sequence[Operation]) -> None:
        self._seen(operations)


def test_an_operation_is_followed_step_by_step(command: CommandLine) -> None:
    """Whatever is stored is shown, and nothing after it is over."""
    steps = [
        (RUNNING, Progress(delivered=0, total=10), ""),
        (RUNNING, Progress(delivered=4, parked=1, total=10), ""),
        (DONE, Progress(delivered=9, parked=1, total=10), ""),
    ]
    shown: list[tuple[OperationStatus, Progress]] = []
    followed: list[Operation] = []

    async def body(store: Store) -> None:
        waiting = _operation(progress=Progress(total=10))
        await store.add_operation(waiting)
        looked = anyio.Event()

        def seen(operations: Sequence[Operation]) -> None:
            nonlocal looked
            state = (operations[0].status, operations[0].progress)
            if state not in shown:
                shown.append(state)
                looked.set()
                looked = anyio.Event()

        async def daemon() -> None:
            for number, step in enumerate(steps):
                while len(shown) <= number:  # it may be seen before the store's answer is here
                    await looked.wait()
                await move(store, waiting, step)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon)
            followed.extend(await follow(store, [waiting.id], Watcher(seen)))

    command.on_store(body)
    assert shown == [(WAITING, Progress(total=10)), *((status, progress) for status, progress, _ in steps)]
    assert not all_well(followed)


def test_several_are_followed_until_the_last_is_over(alone: CommandLine) -> None:
    """One that is over does not end it."""
    followed: list[Operation] = []

    async def body(store: Store) -> None:
        first, second = _operation(), _operation(id="abcdefabcd", route="feed")
        for operation in (first, second):
            await store.add_operation(operation)
        await move(store, first, (DONE, Progress(delivered=1), ""))

        def seen(operations: Sequence[Operation]) -> None:
            assert [operation.route for operation in operations] == ["hook", "feed"]
            tasks.start_soon(store.cancel_operation, second.id)

        async with anyio.create_task_group() as tasks:
            followed.extend(await follow(store, [first.id, second.id], Watcher(seen)))

    alone.on_store(body)
    assert [operation.status for operation in followed] == [DONE, OperationStatus.CANCELLED]


def test_what_is_not_there_cannot_be_followed(alone: CommandLine) -> None:
    """A misspelt id is no operation that waits for ever."""
    with pytest.raises(NotFound, match="no operation has the id 0123456789"):
        alone.on_store(lambda store: follow(store, ["0123456789"], Lines()))


def test_off_a_terminal_a_line_is_printed_when_there_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    """At once for a status, now and then for numbers, never the same line again."""
    lines = Lines()
    for delivered in range(10):
        lines.show([_operation(status=RUNNING, progress=Progress(delivered=delivered, total=9))])
    for _ in range(10):
        lines.show([_operation(status=DONE, progress=Progress(delivered=9, total=9))])
    assert capsys.readouterr().out.splitlines() == [
        "0123456789 orders/hook: running, 0 of 9 delivered",
        "0123456789 orders/hook: running, 5 of 9 delivered",
        "0123456789 orders/hook: done, 9 of 9 delivered",
    ]


REPLAY = _operation(
    kind=OperationKind.REPLAY,
    start=Position("82", cluster_time=ClusterTime(1000, 0)),
    until=Position("83", cluster_time=ClusterTime(1100, 0)),
)


SNAPSHOT = _operation(kind=OperationKind.SNAPSHOT, routes=("hook",))


@pytest.mark.parametrize(
    ("operation", "words", "share"),
    [
        (_operation(), "waiting, 0 delivered, waiting for whoever runs orders", None),
        (_operation(runner="command"), "waiting, 0 delivered", None),
        (
            _operation().moved(RUNNING, Progress(3, 1, 1, total=10)),
            "running, 3 of 10 delivered, 1 parked, 1 filtered",
            0.5,
        ),
        (
            REPLAY.moved(RUNNING, Progress(7, reached=ClusterTime(1025, 3))),
            "running, 7 delivered, up to 1970-01-01T00:17:05+00:00",
            0.25,
        ),
        (REPLAY.moved(RUNNING, Progress()), "running, 0 delivered", 0.0),
        (REPLAY.moved(DONE, Progress(7)), "done, 7 delivered", 1.0),
        (
            REPLAY.moved(OperationStatus.FAILED, Progress(), "the oplog"),
            "failed, 0 delivered: the oplog",
            0.0,
        ),
        (
            SNAPSHOT.moved(RUNNING, Progress(read=2500, total=10_000, per_sec=300.4)),
            "running, 2500 of 10000 read, 300/s, 25 s left",
            0.25,
        ),
        (SNAPSHOT.moved(RUNNING, Progress(total=10_000)), "running, 0 of 10000 read", 0.0),
        (
            SNAPSHOT.moved(DONE, Progress(read=9990, total=10_000, per_sec=300.0)),
            "done, 9990 of 10000 read",
            1.0,
        ),
    ],
)
def test_how_far_it_has_come(operation: Operation, words: str, share: float | None) -> None:
    """In words, and as a share where there is a whole to compare with."""
    assert (summary(operation), share_done(operation)) == (words, share)


def test_on_a_terminal_there_is_a_bar(alone: CommandLine) -> None:
    """Drawn in place, with the same words, whatever a problem holds."""
    operation = _operation()

    async def body(store: Store) -> None:
        await store.add_operation(operation)
        await move(store, operation, (OperationStatus.FAILED, Progress(1, total=2), "[b]\x1b[2J"))

    alone.on_store(body)
    shown = _on_terminal(alone, "operation", "show", operation.id, "--follow")
    assert "orders/hook" in shown
    assert r"failed, 1 of 2 delivered: [b]\x1b[2J" in shown


def test_who_stops_following_is_told_how_to_go_on(alone: CommandLine) -> None:
    """Ctrl-C ends the command and not the operation."""
    operation = _operation()
    alone.on_store(lambda store: store.add_operation(operation))
    words = ["operation", "show", operation.id, "--follow", "-c", str(alone.config_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "eventbus", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{operation.id} orders/hook: waiting")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"'eventbus operation show {operation.id} --follow' follows it" in said
    assert f"'eventbus operation cancel {operation.id}' ends it" in said
    (left,) = alone.operations()
    assert left.status is WAITING


def _on_terminal(command: CommandLine, *words: str) -> str:
    """What a terminal of 200 columns gets to see."""
    ours, theirs = pty.openpty()
    call = [sys.executable, "-m", "eventbus", *words, "-c", str(command.config_path)]
    environ = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(call, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # what Linux says when nobody has the other end any more
            pass
        finally:
            os.close(ours)
        assert process.wait(60) == 1
    return shown.decode()
