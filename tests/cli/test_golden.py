"""What every command says, and with what it exits, on a running installation: compared with golden files.

``EVENTBUS_GOLDEN=write`` writes them anew; read what changed before it is committed.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from eventbus.cli.commands import app
from eventbus.devservices import MongoService, RedisService
from tests.cli.command_line import CommandLine, masked
from tests.cli.conftest import NOBODY
from tests.cli.golden_lines import ELSEWHERE, LINES
from tests.cli.installation import TOKEN, Installation, installed

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden/commands"
CASES = ROOT / "config/tests/shop-incidents.yaml"
BROKEN = "mongodb: {uri: nonsense}\nsinks: {feed: {type: fiel}}\nsubscriptions: {}\n"
AWAY = "mongodb://127.0.0.1:1/?replicaSet=rs0"
MOVING = {
    *("age_secs", "lag_secs", "position_age_secs", "headroom_secs", "left_secs", "token", "from_token"),
    *(
        "to_token",
        "reached",
        "updated_at",
        "created_at",
        "cluster_time",
        "seconds",
        "time_ms",
        "size",
        "bytes",
    ),
    *("config", "key_hash", "expires_at", "counted_secs", "settled_per_sec", "mean_call_secs"),
}
"""Names of what is another each time."""


def _commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield " ".join(words)
        return
    for name, subcommand in subcommands.items():
        yield from _commands(subcommand, (*words, name))


COMMANDS = sorted(_commands(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def installation(
    mongo: MongoService, redis_service: RedisService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("installation")
    with installed(mongo, redis_service, f"golden_{uuid.uuid4().hex[:8]}", directory) as made:
        (directory / "broken.yaml").write_text(BROKEN)
        made.variant(
            "nowhere.yaml",
            mongodb={"uri": AWAY},
            sinks={
                "feed": {"type": "redis", "url": "redis://127.0.0.1:1/0", "stream": "s"},
                "ledger": {"type": "file", "path": str(directory / "other.jsonl")},
                "partner": {"type": "webhook", "url": "http://127.0.0.1:1/"},
            },
        )
        yield made


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Somebody with a terminal of a usual size, in a directory without a configuration."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, f"{{type: sqlite, path: {tmp_path}/state.db}}", NOBODY, monkeypatch, capfd)


@pytest.mark.services
@pytest.mark.parametrize("name", LINES)
def test_what_it_says(
    name: str, command: CommandLine, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard output, standard error and the exit code of each line, as in the golden file."""
    said = ""
    for line in LINES[name]:
        with monkeypatch.context() as patience:
            if "NOWHERE" in line:  # where nobody is there is nobody to wait for
                patience.setattr("eventbus.sources.mongodb.client._TIMEOUT_MS", 200)
                patience.setattr("eventbus.state.mongodb_connection._GREETING_SECS", 0.2)
            said += _transcript(command, installation, line)
    path = GOLDEN / f"{name.replace(' ', '_')}.txt"
    if os.environ.get("EVENTBUS_GOLDEN") == "write":
        path.write_text(said)
    assert said == path.read_text()


def test_every_command_has_a_good_and_a_bad_case() -> None:
    """Here, or in a test that exists."""
    for name in COMMANDS:
        path = GOLDEN / f"{name.replace(' ', '_')}.txt"
        codes = re.findall(r"^=== exit (\d+)$", path.read_text(), re.MULTILINE) if name in LINES else []
        if name in ELSEWHERE:
            assert _is_there(ELSEWHERE[name]), f"{name}: there is no test {ELSEWHERE[name]}"
        else:
            assert "0" in codes, f"{name}: a line that succeeds belongs into tests/cli/golden_lines.py"
        assert name not in LINES or set(codes) - {"0"}, (
            f"{name}: a line that fails belongs into tests/cli/golden_lines.py"
        )
    assert LINES.keys() <= set(COMMANDS)
    assert {path.stem.replace("_", " ") for path in GOLDEN.iterdir()} == set(LINES)


def _is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) and node.name == name for node in ast.walk(tree))


def _transcript(command: CommandLine, installation: Installation, line: str) -> str:
    words, _, typed = line.partition(" <<<")
    words, _, head = words.partition(" | head -")
    places = {
        "CONFIG": str(installation.config_path),
        "NOWHERE": str(installation.directory / "nowhere.yaml"),
        "BROKEN": str(installation.directory / "broken.yaml"),
        "DIRECTORY": str(installation.directory),
        "LETTER": installation.letter,
        "TOKEN": TOKEN,
        "URL": installation.url,
        "CASES": str(CASES),
    }
    place = re.compile(r"\b(" + "|".join(places) + r")\b")
    call = [place.sub(lambda match: places[match[0]], word) for word in shlex.split(words)]
    answer = command.plainly(*call, typed=f"{typed}\n" if typed else "")
    assert "Traceback" not in answer.err, answer.err
    out = "".join(_masked(answer.out, installation).splitlines(keepends=True)[: int(head) if head else None])
    err = _masked(answer.err, installation)
    beside = f"=== standard error\n{err}" if err else ""
    return f"$ eventbus {line}\n{out}{beside}=== exit {answer.code}\n\n"


def _masked(text: str, installation: Installation) -> str:
    for place, name in (
        (str(installation.directory), "<directory>"),
        (str(ROOT), "<root>"),
        (installation.database, "<database>"),
    ):
        text = text.replace(place, name)
    text = "".join(f"{line.rstrip()}\n" for line in masked(_columns_masked(text)).splitlines())
    for pattern, name in (
        (r"127\.0\.0\.1:(?!1\b)\d+", "127.0.0.1:<port>"),
        (r"\b[0-9A-F]{24,}\b", "<token>"),
        (r"<operation>\.\d+", "<cluster time>"),
        (r"^<operation> \S+: (waiting|running), .*\n", ""),
        (r"(?<=│ )(idle|event)(?= │)", "<kind>"),
        (r'"kind":"(idle|event)"', '"kind":"<kind>"'),
        (r"(?<=^ok oplog)( \S+/\S+:)? .*$", r"\1 <n>"),
        (r"\d+ connections; the server has \d+ left", "<n> connections; the server has <n> left"),
        (r"(?<=\| )\d+\.\d+(?= \|)", "<n>"),
        (rf'"({"|".join(MOVING)})":(?:-?[\d.]+|null|"[^"]*")', r'"\1":"<\1>"'),
        (rf"^ ?({'|'.join(MOVING)}) \S.*$", r"\1 <\1>"),
        (r"(?<=\(known: )discard, [^)]*", "<types>"),  # a plugin may add one
        (r"\d+\.\d+ ms", "<n> ms"),
        (r"\d+ bytes", "<n> bytes"),
        (r"port (?!1\b)\d+", "port <port>"),
    ):
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def _columns_masked(text: str) -> str:
    """The text, with the moving columns of its tables masked."""
    lines, moving = [], set[int]()
    for line in text.splitlines():
        if line.startswith("┃"):
            moving = {place for place, name in enumerate(line.split("┃")) if name.strip() in MOVING}
        if line.startswith("│"):
            cells = line.split("│")
            cells = [" <n> " if place in moving else cell for place, cell in enumerate(cells)]
            line = "│".join(cells)  # noqa: PLW2901 - the line as it is compared
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)
