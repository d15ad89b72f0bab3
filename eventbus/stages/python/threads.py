"""Threads for calls that may never end: those that nobody waits for are counted, and hold up no exit.

The threads of anyio do both otherwise: what it has given up is not counted, and the interpreter waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

__all__ = ["Threads"]


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    context: Context
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    is_abandoned: bool = False
    has_ended: bool = False


class _Worker:
    """A thread and what it is to do."""

    def __init__(self, on_end: Callable[[_Worker, _Job, Any], None]) -> None:
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._on_end = on_end
        threading.Thread(target=self._run, name="eventbus stage", daemon=True).start()

    def _run(self) -> None:
        while (job := self.jobs.get()) is not None:
            result = job.context.run(job.call)
            try:
                job.loop.call_soon_threadsafe(self._on_end, self, job, result)
            except RuntimeError:  # the loop is closed
                return
            del job, result


class Threads:
    """As many threads as calls are under way. All of it but the calls happens in the event loop."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._is_closed = False
        self.abandoned = 0
        """How many calls are under way that nobody waits for any more."""

    async def call(self, call: Callable[[], Any]) -> Any:
        """Make a call. Cancelled, it returns at once, and the call goes on.

        Args:
            call: What to do; it must not raise.
        """
        self._is_closed = False
        loop = asyncio.get_running_loop()
        job = _Job(call, copy_context(), loop, loop.create_future())
        worker = self._idle.pop() if self._idle else _Worker(self._ended)
        worker.jobs.put(job)
        try:
            return await job.done
        except asyncio.CancelledError:
            if not job.has_ended:
                job.is_abandoned = True
                self.abandoned += 1
            raise

    def close(self) -> None:
        """Let go of the threads, of each when it has nothing to do; more may be called."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().jobs.put(None)

    def _ended(self, worker: _Worker, job: _Job, result: Any) -> None:
        job.has_ended = True
        if self._is_closed:
            worker.jobs.put(None)
        else:
            self._idle.append(worker)
        if job.is_abandoned:
            self.abandoned -= 1
        elif not job.done.done():
            job.done.set_result(result)
