"""The daemon as a process of its own, started as an operator would, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import anyio
import anyio.abc
import orjson

__all__ = ["DaemonProcess", "Readiness"]

_POLL_SECS: Final = 0.1
_ANSWER_SECS: Final = 2.0
_DRAIN_SECS: Final = 40.0
_LAST_LINES: Final = 15

# A child that outlives a parent killed by SIGKILL is killed by the kernel, if it asks for that itself.
_LAUNCHER: Final = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What /readyz says.

    Args:
        ok: Whether the daemon does its work.
        reason: Why not, or what is troubled although it does; empty when all is well.
    """

    ok: bool
    reason: str = ""

    def __str__(self) -> str:
        state = "ready" if self.ok else "NOT READY"
        return f"{state} ({self.reason})" if self.reason else state


class DaemonProcess:
    """`eventbus run`, from entering to leaving.

    Args:
        configs: Its configuration files.
        environment: Variables beside those of this process.
        url: Where its admin server will answer.
        log: The file that takes what it prints.
    """

    def __init__(
        self, configs: Sequence[Path], environment: Mapping[str, str], *, url: str, log: Path
    ) -> None:
        words = [word for config in configs for word in ("-c", str(config))]
        self._command = [*_prefix(), "-m", "eventbus", "run", *words]
        self._environment = {**os.environ, **environment}
        self._url = url
        self._log = log
        self._process: anyio.abc.Process | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_SECS))
        with self._log.open("ab") as log:
            self._process = await anyio.open_process(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the demo, which stops the daemon when it is time
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._http is not None
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.aclose()
            await self._http.close()

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None, "enter it first"
        return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to drain, and wait for its end; the exit code. It is killed if it takes too long."""
        assert self._process is not None, "enter it first"
        if self._process.returncode is None:
            self._process.terminate()
        with anyio.move_on_after(_DRAIN_SECS) as patience:
            await self._process.wait()
        if patience.cancelled_caught:
            self._process.kill()
        return await self._process.wait()

    async def wait_until_ready(self) -> None:
        """Wait for /readyz to say yes; it can only be asked."""
        while not (await self.readiness()).ok:  # noqa: ASYNC110 - another process sets no event of ours
            await anyio.sleep(_POLL_SECS)

    async def readiness(self) -> Readiness:
        """Ask /readyz."""
        assert self._http is not None, "enter it first"
        try:
            async with self._http.get(f"{self._url}/readyz") as response:
                return Readiness(response.status == 200, _reason(await response.read()))
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Readiness(ok=False, reason="no answer")

    def last_words(self) -> str:
        """The end of what it has printed."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(line[:1000] for line in lines[-_LAST_LINES:])


def _prefix() -> list[str]:
    if sys.platform != "linux":
        return [sys.executable]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]


def _reason(body: bytes) -> str:
    """The first trouble in an answer of /readyz, for people."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "an answer that is not JSON"
    troubles = [answer["waiting_for"]] if answer.get("waiting_for") else []
    for name, subscription in answer.get("subscriptions", {}).items():
        troubles += [f"{name}: {problem}" for problem in subscription.get("problems", ())]
        troubles += [f"{name}.{route}: {why}" for route, why in subscription.get("circuits", {}).items()]
    return str(troubles[0]) if troubles else ""
