"""Calls of a user's function: each ends in time, whatever the function does, and raises nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from inspect import isawaitable, unwrap
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final, TypeAlias

import anyio

from eventbus.sdk import Unreachable
from eventbus.stages.python.functions import Function, is_async
from eventbus.stages.python.threads import Threads

__all__ = ["Called", "Caller", "Failed", "Returned"]

_MOST_ABANDONED: Final = 16


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """It raised, or took too long.

    Args:
        reason: Why, for people, and without any text of the function's: it may hold values of a document.
        is_late: Whether it took too long.
    """

    reason: str
    is_late: bool = False


Called: TypeAlias = Returned | Failed


class Caller:
    """Calls a function: an async one in the event loop, any other in a thread.

    Args:
        function: The function.
        timeout_secs: How long a call may take.
        most: How many calls may be under way at once.
    """

    def __init__(self, function: Function, timeout_secs: float, most: int) -> None:
        self._function = function
        self._timeout_secs = timeout_secs
        self._is_async = is_async(function)
        self._file = getattr(getattr(unwrap(function), "__code__", None), "co_filename", None)
        self._threads = Threads()
        self._places = anyio.CapacityLimiter(most)

    async def call(self, argument: Any) -> Called:
        """Make one call.

        Raises:
            Unreachable: Too many calls that were given up have not ended; none was made.
        """
        async with self._places:
            if self._threads.abandoned >= _MOST_ABANDONED:
                raise Unreachable(
                    f"{self._threads.abandoned} calls that took longer than {self._timeout_secs:g}s go on"
                )
            with anyio.move_on_after(self._timeout_secs):
                return await self._called(argument)
        return Failed(f"took longer than {self._timeout_secs:g}s", is_late=True)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    async def _called(self, argument: Any) -> Called:
        def call() -> Called:
            try:
                return Returned(self._function(argument))
            except BaseException as error:  # noqa: BLE001 - it is nobody's: an exit would end the thread alone
                return self._raised(error)

        called: Called = call() if self._is_async else await self._threads.call(call)
        if isinstance(called, Returned) and isawaitable(called.value):
            return await self._awaited(called.value)
        return called

    async def _awaited(self, work: Awaitable[Any]) -> Called:
        try:
            return Returned(await work)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._raised(error)  # something that it waited for was cancelled, and not we
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            return self._raised(error)

    def _raised(self, error: BaseException) -> Failed:
        """What was raised and where, as far as the function's own file is known."""
        frames = walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == self._file]
        where = f" ({Path(self._file).name}, line {lines[-1]})" if self._file and lines else ""
        return Failed(f"raised {type(error).__name__}{where}")
