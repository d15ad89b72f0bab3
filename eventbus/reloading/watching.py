"""Looks every few seconds whether the files of the configuration changed.

It compares contents, because mounted directories change by another one taking their place, which no watch on
a file is told of. What is being written is left alone until it is the same twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio import to_thread

from eventbus.reloading.files import ConfigFiles

__all__ = ["watch"]

_LOOK_SECS = 2.0


async def watch(
    files: ConfigFiles, reload: Callable[[], Awaitable[object]], *, every_secs: float = _LOOK_SECS
) -> None:
    """Ask for a reload whenever the files have changed since they were read, until cancelled.

    Args:
        files: What is looked at.
        reload: Reads them.
        every_secs: How often.
    """
    last = files.loaded
    while True:
        await anyio.sleep(every_secs)
        now = await to_thread.run_sync(files.digest)
        if now == last and now != files.loaded:
            await reload()
        last = now
