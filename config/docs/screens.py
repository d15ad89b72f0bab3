"""Takes pictures of the running program for the site: what it prints, with real servers, as SVG.

    python config/docs/screens.py dist/screens

Servers are found or fetched as for the tests. Where they cannot be had, pictures that need them are not
taken, and the site has those of docs/pictures, which were taken by this, too.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pymongo
from rich.console import Console
from rich.text import Text

from eventbus.devservices import MongoService, RedisService, Unavailable

ROOT: Final = Path(__file__).parents[2]
EVENTBUS: Final = (sys.executable, "-m", "eventbus")
DEADLINE_SECS: Final = 60.0

_ERASED: Final = re.compile(r"\x1b\[\?25[lh]|\x1b\[\d*[AKG]|\r")
_FORMAT: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px }}
    .{unique_id}-title {{ font-size: 18px; font-family: system-ui, sans-serif }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">{matrix}</g>
  </g>
</svg>
"""  # noqa: E501
"""Rich's own loads a font from another host."""

CONFIG: Final = """
mongodb: {{uri: "{uri}"}}
server: {{port: 0}}
daemon: {{instance: eventbus-1}}
sinks:
  archive: {{type: file, path: "{folder}/orders.jsonl"}}
  fulfilment: {{type: webhook, url: "http://127.0.0.1:9/orders"}}
  lines: {{type: file, path: "{folder}/products.jsonl"}}
subscriptions:
  orders:
    source: {{database: shop, collections: [orders]}}
    routes: [archive, fulfilment]
  products:
    source: {{database: shop, collections: [products]}}
    routes: [lines]
"""


def main(folder: Path) -> int:
    """Take them all.

    Args:
        folder: Where they go.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases = "config/tests/shop-products.yaml"
    _take(folder / "test.svg", f"eventbus test {cases}", _printed(["test", cases], 100), 100)
    try:
        with MongoService.start() as mongo, RedisService.start() as redis:
            servers = {"MONGODB_URI": mongo.uri, "REDIS_URL": redis.url}
            _take_demo(folder / "demo.svg", servers)
            _take_status(folder / "status.svg", mongo.uri)
    except Unavailable as error:
        sys.stderr.write(f"{error}\nPictures that need it are those of docs/pictures.\n")
    return 0


def _take_demo(file: Path, servers: Mapping[str, str]) -> None:
    printed = _printed(["demo", "--seconds", "8"], 120, servers)
    table = [line for line in _ERASED.split(printed)[-1].splitlines() if line.strip()]
    _take(file, "eventbus demo", "\n".join(table), 120)


def _take_status(file: Path, uri: str) -> None:
    with tempfile.TemporaryDirectory() as name, _daemon(Path(name), uri) as url:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client["shop"]["orders"].insert_many([{"total": total} for total in range(5)])
        status = ["status", "-c", "eventbus.yaml", "--url", url]
        _wait(lambda: "waiting" in _printed(status, 220, folder=Path(name)))
        printed = _printed(status, 220, folder=Path(name))
        _take(file, "eventbus status -c eventbus.yaml", printed, len(Text.from_ansi(printed).split()[0]))


@contextmanager
def _daemon(folder: Path, uri: str) -> Iterator[str]:
    """A daemon; where it answers."""
    config, log = folder / "eventbus.yaml", folder / "log"
    config.write_text(CONFIG.format(uri=uri, folder=folder))
    with log.open("wb") as said:
        process = subprocess.Popen([*EVENTBUS, "run", "-c", str(config)], stderr=said, stdout=said)
    try:
        _wait(lambda: "admin_server_started" in log.read_text())
        lines = map(json.loads, log.read_text().splitlines())
        (port,) = [line["port"] for line in lines if line["event"] == "admin_server_started"]
        url = f"http://127.0.0.1:{port}"
        _wait(lambda: log.read_text().count("subscription_started") == 2)
        yield url
    finally:
        process.terminate()
        process.wait(DEADLINE_SECS)


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def _printed(
    arguments: Sequence[str], columns: int, environ: Mapping[str, str] | None = None, folder: Path = ROOT
) -> str:
    """What a command prints on a terminal of so many columns, in a folder."""
    terminal = {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    done = subprocess.run(
        [*EVENTBUS, *arguments],
        cwd=folder,
        env={**os.environ, **terminal, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr}")
    return done.stdout


def _take(file: Path, title: str, printed: str, columns: int) -> None:
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed), no_wrap=True, overflow="crop")
    svg = console.export_svg(title=title, code_format=_FORMAT, unique_id="screen")
    file.write_text(svg)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
