"""Calls of the command line, within the process of the test, and what they printed."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio
import orjson
import pytest

from eventbus.cli import main
from eventbus.config import load
from eventbus.model import DeadLetter
from eventbus.registry import Registry
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.operations import Operation
from eventbus.state.store import Store

T = TypeVar("T")

CONFIG = """\
mongodb: {uri: "%(uri)s"}
state: %(state)s
sinks:
  hook: {type: webhook, url: "http://127.0.0.1:1/"}
  feed: {type: file, path: %(directory)s/feed.jsonl}
subscriptions:
  orders:
    source: {database: shop, collections: [orders]}
    routes: [hook, feed]
  products:
    source: {database: shop, collections: [products]}
    routes: [feed]
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command had to say.

    Args:
        code: Its exit code.
        out: What it printed.
        err: What it said beside that.
    """

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def text(self) -> str:
        """What it printed, as it can be compared: see `masked`."""
        return masked(self.out)


class CommandLine:
    """One configuration, and a person who types.

    Args:
        directory: Where the configuration goes.
        state: The section of that name.
        uri: Where the changes would be read.
        monkeypatch: Lends the test's arguments and input.
        captured: Has what is printed.
    """

    def __init__(
        self,
        directory: Path,
        state: str,
        uri: str,
        monkeypatch: pytest.MonkeyPatch,
        captured: pytest.CaptureFixture[str],
    ) -> None:
        self.config_path = directory / "eventbus.yaml"
        self.text = CONFIG % {"uri": uri, "state": state, "directory": directory}
        self.config_path.write_text(self.text)
        self._monkeypatch = monkeypatch
        self._captured = captured

    def __call__(self, *words: str, typed: str = "") -> Answer:
        """Call a command with this configuration; `typed` is what the person answers."""
        return self.plainly(*words, "-c", str(self.config_path), typed=typed)

    def plainly(self, *words: str, typed: str = "") -> Answer:
        """Call a command with just these words."""
        self._captured.readouterr()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["eventbus", *words])
            patch.setattr(sys, "stdin", io.StringIO(typed))
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        return Answer(code, *self._captured.readouterr())

    def on_store(self, body: Callable[[Store], Awaitable[T]], access: Access = Access.DAEMON) -> T:
        """Do something with the store, as a daemon does by default."""
        config = load([self.config_path], Registry.from_entry_points(), {})

        async def opened() -> T:
            async with open_store(config, access=access) as store:
                return await body(store)

        return anyio.run(opened)

    def park(self, *letters: DeadLetter) -> None:
        """These become dead letters."""
        self.on_store(lambda store: store.park(letters))

    def operations(self) -> Sequence[Operation]:
        """All of them, the newest first."""
        return self.on_store(lambda store: store.find_operations(), Access.READ)


def masked(text: str) -> str:
    """A text without what differs from run to run, and without the width of columns."""
    for pattern, name in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?", "<time>"),
        (r"\b[0-9a-f]{32}\b", "<id>"),
        (r"\b[0-9a-f]{10}\b", "<operation>"),
        (r"by \S+@\S+", "by <who>"),
        (r"[━─]+", "─"),
        (r" +", " "),
        (r" $", ""),
    ):
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text
