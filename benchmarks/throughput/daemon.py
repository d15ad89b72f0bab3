"""The daemon as a process of its own, as operators run it: `eventbus run -c`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import yaml

__all__ = ["Daemon"]

_ROOT: Final = Path(__file__).parents[2]
_SETTLED: Final = re.compile(r"^eventbus_events_settled_total{[^}]*delivered[^}]*} (\S+)$", re.MULTILINE)
_SETTLED_OF: Final = (
    r'^eventbus_events_settled_total{{outcome="delivered",route="{}",subscription="[^"]*"}} (\S+)$'
)
_READERS: Final = re.compile(r"^eventbus_readers_open{[^}]*} (\S+)$", re.MULTILINE)
_DEADLINE_SECS: Final = 60.0
_ENTRY_POINTS: Final = "[eventbus.sinks]\ntimed = benchmarks.throughput.timed_sink:TimedSink\n"


class Daemon:
    """One daemon with one configuration, started as often as one likes.

    Args:
        directory: Where its configuration, its log and whatever else it writes go.
        config: The configuration; the server's port is chosen.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self.directory = directory
        self._config = directory / "eventbus.yaml"
        self._log = directory / "daemon.log"
        self._config.write_text(
            yaml.safe_dump({**config, "server": {"port": 0}, "log": {"level": "info", "format": "json"}})
        )
        self._environment = {**os.environ, "PYTHONPATH": f"{_plugin(directory)}:{_ROOT}"}

    @classmethod
    @contextmanager
    def running(cls, config: Mapping[str, Any]) -> Iterator[Self]:
        """One that runs while the body does, with a directory of its own."""
        with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
            daemon = cls(Path(directory), config)
            daemon.start()
            try:
                yield daemon
            finally:
                daemon.end()

    def start(self) -> None:
        """Start it, and wait until its admin server answers."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eventbus", "run", "-c", str(self._config)],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        self._address = f"http://127.0.0.1:{self._port()}"

    def end(self) -> None:
        """SIGTERM, and wait."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(_DEADLINE_SECS)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def settled(self, routes: int = 1) -> int:
        """How many events the slowest of the routes has delivered."""
        counts = [int(float(count)) for count in _SETTLED.findall(self.get("/metrics"))]
        return min(counts, default=0) if len(counts) == routes else 0

    def settled_of(self, route: str) -> int:
        """How many events one route has delivered."""
        found = re.search(_SETTLED_OF.format(re.escape(route)), self.get("/metrics"), re.MULTILINE)
        return int(float(found[1])) if found is not None else 0

    def readers(self) -> int:
        """How many readers of the source are open."""
        found = _READERS.search(self.get("/metrics"))
        return int(float(found[1])) if found is not None else 0

    def command(self, *arguments: str) -> None:
        """Run another command on the same configuration, to its end."""
        verb, *rest = arguments
        subprocess.run(
            [sys.executable, "-m", "eventbus", verb, "-c", str(self._config), *rest],
            check=True,
            stdout=subprocess.DEVNULL,
            env=self._environment,
        )

    def wait_until_ready(self) -> None:
        """Wait until it does its work."""
        deadline = time.monotonic() + _DEADLINE_SECS
        while True:
            try:
                self.get("/readyz")
            except urllib.error.HTTPError as error:
                with error:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"not ready: {error.read().decode()}\n{self._said()}") from error
            else:
                return
            time.sleep(0.05)

    def get(self, path: str) -> str:
        """The answer of the admin server."""
        with urllib.request.urlopen(self._address + path, timeout=10) as answer:
            body: str = answer.read().decode()
        return body

    def _port(self) -> int:
        deadline = time.monotonic() + _DEADLINE_SECS
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self._log.read_text().splitlines():
                if '"admin_server_started"' in line:
                    return int(json.loads(line)["port"])
            time.sleep(0.02)
        raise RuntimeError(f"the daemon did not start:\n{self._said()}")

    def _said(self) -> str:
        return self._log.read_text()[-3000:]


def _plugin(directory: Path) -> Path:
    """A place from which the daemon learns of the benchmark's own sink, as of any installed plugin."""
    place = directory / "plugin"
    about = place / "eventbus_benchmarks-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: eventbus-benchmarks\nVersion: 0\n")
    (about / "entry_points.txt").write_text(_ENTRY_POINTS)
    return place
