"""Operations that a test moves by hand, as whoever holds the subscription's lease would."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio

from eventbus.state.operations import Operation, OperationStatus, Progress
from eventbus.state.store import Store
from tests.cli.command_line import CommandLine

__all__ = ["Step", "ended", "ending", "move"]

Step = tuple[OperationStatus, Progress, str]


def ended(
    status: OperationStatus = OperationStatus.DONE, problem: str = "", *, delivered: int = 0, parked: int = 0
) -> Step:
    """The last step of an operation."""
    return status, Progress(delivered=delivered, parked=parked), problem


async def move(store: Store, operation: Operation, *steps: Step) -> None:
    """Move an operation on, under a lease on its subscription."""
    lease = await store.acquire(operation.subscription, lease_secs=60.0, reclaim=True)
    assert lease is not None
    for status, progress, problem in steps:
        assert await store.move_operation(operation.moved(status, progress, problem), lease)


@contextmanager
def ending(command: CommandLine, *steps: Step) -> Iterator[None]:
    """While the body runs, a daemon ends every operation that appears, the first with the first step."""
    stop = threading.Event()

    async def daemon(store: Store) -> None:
        left = list(steps)
        while left and not stop.is_set():
            waiting = [one for one in await _waiting(store) if not one.runner]
            for operation in waiting[: len(left)]:
                await move(store, operation, left.pop(0))
            await anyio.sleep(0.01)

    thread = threading.Thread(target=command.on_store, args=(daemon,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def _waiting(store: Store) -> Sequence[Operation]:
    """The oldest first."""
    found = await store.find_operations()
    return [operation for operation in reversed(found) if not operation.status.is_over]
