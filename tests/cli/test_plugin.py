"""`eventbus plugin`: what is made works before a line of it is changed, and what is installed is listed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from eventbus import __version__
from eventbus.cli.plugins.making import make_plugin
from eventbus.devservices import MongoService
from eventbus.registry import Registry
from tests.cli.command_line import CommandLine
from tests.docs.pages import ROOT, blocks
from tests.e2e.daemon import DaemonProcess

MADE = {"depot": "sink", "lines": "source", "tidy": "stage"}
MONGODB = "mongodb: {uri: 'mongodb://127.0.0.1:1/?replicaSet=rs0'}\n"


def _python(*words: str, path: Path) -> None:
    """Call Python with a folder of packages, and with nothing of this project but eventbus itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a package of each kind was made."""
    folder = tmp_path_factory.mktemp("made")
    for name, kind in MADE.items():
        make_plugin(name, kind, folder)
    return folder


@pytest.fixture(scope="module")
def target(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they are installed, without a network and without harm to this environment."""
    place = tmp_path_factory.mktemp("installed")
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    packages = [str(made / f"eventbus-{name}") for name in MADE]
    _python("pip", "install", "-q", *alone, "--target", str(place), *packages, path=place)
    return place


@pytest.fixture
def installed(target: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With them on the path of this process, for as long as a test takes."""
    monkeypatch.syspath_prepend(target)
    yield target
    for module in [
        name for name in sys.modules if name.partition(".")[0] in {f"eventbus_{name}" for name in MADE}
    ]:
        del sys.modules[module]


@pytest.mark.slow
def test_what_is_made_is_found_and_can_be_configured(
    made: Path, installed: Path, alone: CommandLine, tmp_path: Path
) -> None:
    """By the entry points of the wheel, as the README of the package shows it."""
    rows = {row["name"]: row for row in alone.plainly("plugin", "list", "--json").rows}
    for name, kind in MADE.items():
        package = f"eventbus-{name}"
        row = rows[name]
        assert (row["kind"], row["package"], row["version"]) == (kind, package, "0.1.0")
        assert (row["state"], row["why"]) == ("ok", None)
        (shown,) = blocks("yaml", made / package / "README.md")
        whole = yaml.safe_load(MONGODB + shown.text)
        whole.setdefault("subscriptions", {"orders": {"source": {"database": "shop"}, "routes": ["archive"]}})
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(whole))
        answer = alone.plainly("validate", str(file))
        assert answer.out == "ok: 1 subscription, 1 sink\n", answer.err
    assert "depot" in alone.plainly("plugin", "list").out


@pytest.mark.slow
def test_the_tests_that_are_made_pass(made: Path, target: Path) -> None:
    """On what was installed, each with the kit; their style is ruff's."""
    folders = [str(made / f"eventbus-{name}") for name in MADE]
    alone = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "--import-mode=importlib", "-W", "error")
    _python("pytest", "-q", *alone, *folders, path=target)
    _python("ruff", "check", "--no-cache", *folders, path=target)
    _python("ruff", "format", "--no-cache", "--check", *folders, path=target)


@pytest.mark.services
def test_what_is_made_works_in_the_daemon(
    target: Path, mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """A source, a stage and a sink, together and killed in between: every line arrives once, tidied."""
    lines, archive = tmp_path / "lines.jsonl", tmp_path / "archive.db"
    lines.write_text("")
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"database": fresh_database},
        "daemon": {"lease": "2s", "checkpoint_every": "50ms"},
        "sinks": {"archive": {"type": "depot", "path": str(archive), "timeout": "1s"}},
        "subscriptions": {
            "lines": {
                "source": {"type": "lines", "path": str(lines), "look_every": "10ms"},
                "pipeline": [{"tidy": "name"}, {"filter": "tidy_text != 'no'"}],
                "start": "oldest",
                "routes": ["archive"],
            }
        },
    }
    path = os.pathsep.join([str(target), str(ROOT)])
    with DaemonProcess(tmp_path, config, {"PYTHONPATH": path}) as daemon:
        for first in (0, 50):
            with lines.open("a") as file:
                file.writelines(
                    f'{{"_id": {first + n}, "name": " yes "}}\n{{"_id": -1, "name": "no "}}\n'
                    for n in range(50)
                )
            daemon.start()
            daemon.wait_for(
                lambda wanted=first + 50: len(_archived(archive)) >= wanted, "events in the archive"
            )
            daemon.kill()
    assert _archived(archive) == list(range(100))


def _archived(path: Path) -> list[int]:
    """The ids of the documents that a sink has, as they came."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        try:
            rows = connection.execute("SELECT body FROM events ORDER BY rowid").fetchall()
        except sqlite3.OperationalError:  # it has just been made
            return []
    return [json.loads(body)["data"]["document"]["_id"] for (body,) in rows]


def test_a_package_asks_for_versions_with_this_interface(made: Path) -> None:
    """Until 1.0 the second number may change it."""
    major, minor = map(int, __version__.split(".")[:2])
    asked = f'"eventbus>={major}.{minor},<{major}.{minor + 1}"'
    assert asked in (made / "eventbus-depot/pyproject.toml").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *("Spool", "9lives", "a-b", "a__b", "a_", "", "a" * 41, "../a", "a\n", "é"),
        *("eventbus_spool", "eventbus", "kafka", "test", "test_spool"),
    ],
)
def test_a_name_that_can_be_no_type_is_refused(name: str, alone: CommandLine, tmp_path: Path) -> None:
    """With what is wrong, before anything is written."""
    before = sorted(tmp_path.iterdir())
    answer = alone.plainly("plugin", "new", "--into", str(tmp_path), "--", name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_there_is_never_touched(is_link: bool, alone: CommandLine, tmp_path: Path) -> None:
    """A folder, nor a link to nowhere; and no draft is left behind."""
    there = tmp_path / "eventbus-spool"
    if is_link:
        there.symlink_to(tmp_path / "nowhere")
    else:
        there.mkdir()
    before = sorted(tmp_path.iterdir())
    answer = alone.plainly("plugin", "new", "spool", "--into", str(tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert "is there already" in answer.err
    assert sorted(tmp_path.iterdir()) == before


def _declare(folder: Path, package: str, entry_points: str, code: str = "") -> None:
    """Install a package by hand."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{package}_code.py").write_text(code)


def test_what_is_broken_is_told_with_its_cause(
    alone: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by itself, and with exit code 1."""
    half = "class Half:\n    Options = Options\n    def open(self): ...\n"
    code = f"from eventbus.sdk import Options\nclass Bare: ...\n{half}"
    _declare(
        tmp_path,
        "torn",
        "[eventbus.sinks]\nbare=torn_code:Bare\nfile=torn_code:Bare\ngone=torn_code:Gone\nhalf=torn_code:Half\n"
        "[eventbus.stage]\nlost=torn_code:Half\n[eventbus.functions]\nends=ending_code:f\nnone=torn_code:missing\n",
        code,
    )
    (tmp_path / "ending_code.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    answer = alone.plainly("plugin", "list", "--json")
    told = {
        row["name"]: (row["kind"], row["state"], row["why"])
        for row in answer.rows
        if row["package"] == "torn"
    }
    monkeypatch.delitem(sys.modules, "torn_code")
    assert answer.code == 1
    assert told.pop("file")[2].startswith("sink type 'file' is declared by more than one package: ")
    assert told.pop("gone")[2].startswith(
        "sink type 'gone' of package torn 1.0 cannot be imported from torn_code:"
    )
    assert "it has no close, encode, send" in told.pop("half")[2]
    assert told == {
        "ends": ("function", "broken", "function 'ends' cannot be imported: SystemExit"),
        "bare": (
            "sink",
            "broken",
            "sink type 'bare' of package torn 1.0: torn_code:Bare has no pydantic model named Options",
        ),
        "lost": (
            *("eventbus.stage", "broken"),
            "there is no group of entry points 'eventbus.stage', did you mean 'eventbus.stages'?",
        ),
        "none": ("function", "broken", "function 'none' cannot be imported: AttributeError"),
    }


def test_built_in_types_are_listed_only_when_asked_for(alone: CommandLine) -> None:
    """All that the registry knows, and all of them in order."""
    usual, every = (alone.plainly("plugin", "list", "--json", *words) for words in ((), ("--all",)))
    assert "eventbus" not in {row["package"] for row in usual.rows}
    ours = {(row["kind"], row["name"]): row["state"] for row in every.rows if row["package"] == "eventbus"}
    registry = Registry.from_entry_points()
    known = {"sink": registry.sinks, "source": registry.sources, "stage": registry.stages}
    assert ours.keys() <= {(kind, name) for kind, names in known.items() for name in names}
    assert {("sink", "kafka"), ("source", "mongodb"), ("stage", "filter")} <= ours.keys()
    assert set(ours.values()) == {"ok"}
