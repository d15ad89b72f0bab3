"""The command `eventbus demo`: its servers and its directory, and the play between them."""

from __future__ import annotations

import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from eventbus.demo.configuration import config_files
from eventbus.demo.display import complain, say
from eventbus.demo.play import Ending, Play
from eventbus.demo.servers import Servers, running_servers
from eventbus.devservices import DevServiceError

__all__ = ["run"]


def run(seconds: float | None = None, rate: float = 200.0) -> int:
    """Show it, and judge it.

    Args:
        seconds: How long the shop works; None until Ctrl-C.
        rate: The shop's changes a second.

    Returns:
        The exit code: 0 if every receiver got everything, 1 if not or if something failed, 2 if the
        arguments are wrong, 130 if it was broken off before there was a verdict.
    """
    if rate <= 0 or (seconds is not None and seconds <= 0):
        complain("The rate and the seconds of a demo are more than 0.")
        return 2
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that ends is no error here
    try:
        config_files(kafka=True)
        with _sigterm_as_ctrl_c(), running_servers(say) as servers:
            return _play(servers, seconds, rate)
    except KeyboardInterrupt:
        say("Stopped.")
        return Ending.BROKEN_OFF
    except (DevServiceError, FileNotFoundError) as error:
        complain(str(error))
        return Ending.FAILED


def _play(servers: Servers, seconds: float | None, rate: float) -> int:
    directory = Path(tempfile.mkdtemp(prefix="eventbus-demo-"))
    ending = Ending.BROKEN_OFF

    async def play() -> Ending:
        return await Play(servers, directory, seconds=seconds, rate=rate).run()

    try:
        ending = anyio.run(play)
    finally:
        if ending is not Ending.FAILED:
            shutil.rmtree(directory, ignore_errors=True)
    return ending


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, a service manager's word for Ctrl-C, unwind everything as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
