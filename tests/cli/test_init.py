"""`eventbus init` writes what `validate` accepts, asks what it is not told, and keeps passwords to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.config import Config, SQLiteState, load
from eventbus.devservices import MongoService
from eventbus.registry import Registry
from eventbus.sources.mongodb.options import MongoOptions
from tests.cli.command_line import CommandLine

SECRET = "hunter2"
AWAY = "mongodb://127.0.0.1:1/?replicaSet=rs0"
EVERY_TYPE = (
    *("--sink", "kafka=localhost:9092", "--sink", f"redis=redis://:{SECRET}@localhost:6379/0"),
    *("--sink", f"mongodb=mongodb://me:{SECRET}@elsewhere/", "--sink", "webhook=https://example.com/hook"),
    *("--sink", "file=a b.jsonl", "--sink", "stdout", "--sink", "other-file:file=b.jsonl"),
)


@pytest.fixture(autouse=True)
def _no_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "first.yaml"


def _read(file: Path, **environ: str) -> Config:
    return load([file], Registry.from_entry_points(), environ)


def test_every_type_of_sink_is_valid_and_no_password_is_written(alone: CommandLine, file: Path) -> None:
    """Neither in the file nor in what is said; which variables are to be set is."""
    uri = f"mongodb://me:{SECRET}@127.0.0.1:1/?replicaSet=rs0"
    answer = alone.plainly(
        *("init", str(file), "--uri", uri, "--database", "shop", "--collections", "orders,items"),
        *(*EVERY_TYPE, "--exactly-once", "--state", "sqlite=/tmp/s.db", "--admin", "--offline", "--yes"),
    )
    assert answer.code == 0, answer.err
    assert SECRET not in file.read_text() + answer.out + answer.err
    for variable in ("MONGODB_URI", "REDIS_URL", "MONGODB_TARGET_URI", "EVENTBUS_TOKEN"):
        assert f"set {variable} to run it" in answer.err
    addresses = {"REDIS_URL": "redis://:p@r/0", "MONGODB_TARGET_URI": "mongodb://x/"}
    config = _read(file, MONGODB_URI=uri, EVENTBUS_TOKEN="t" * 16, **addresses)
    assert [(one.name, one.scope) for one in config.server.tokens] == [("operator", "write")]
    assert {name: sink.exactly_once for name, sink in config.sinks.items()} == {
        "kafka": True,
        "redis": True,
        "mongodb": True,
        "webhook": False,
        "file": False,
        "stdout": False,
        "other-file": False,
    }
    assert "at least once, since their type knows no transactions: webhook, file" in answer.err
    assert isinstance(config.state, SQLiteState)
    source = config.subscriptions["shop"].source.options
    assert isinstance(source, MongoOptions)
    assert (source.database, source.collections, str(source.full_document)) == (
        "shop",
        ("orders", "items"),
        "update_lookup",
    )
    assert answer.out.splitlines()[1:] == [
        "next:",
        f"  eventbus validate {file} --connect",
        f"  eventbus doctor -c {file}",
        f"  eventbus run -c {file}",
    ]


def test_the_variable_that_it_came_from_is_named(
    alone: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps the address in a variable wants it there."""
    monkeypatch.setenv("MONGODB_URI", AWAY)
    assert alone.plainly("init", str(file), "--database", "x", "--sink", "stdout", "--yes").code == 0
    assert 'uri: "${MONGODB_URI}"' in file.read_text()
    assert alone.plainly("validate", str(file)).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--database: needed"),
        (("--database", "shop"), "--sink: needed"),
        (("--database", "shop", "--sink", "kafak=x:1"), "did you mean 'kafka'?"),
        (("--database", "shop", "--sink", "kafka"), "kafka needs an address: kafka=localhost:9092"),
        (("--database", "shop", "--sink", "stdout=x"), "stdout has no address"),
        (
            ("--database", "shop", "--sink", "stdout", "--state", "postgres"),
            "expected mongodb, or sqlite=PATH",
        ),
        (("--database", "sh/op", "--sink", "stdout"), "first.yaml:"),
        (("--database", "shop", "--sink", "stdout", "--sink", "stdout:stdout"), "two are named 'stdout'"),
        (("--database", "shop", "--sink", "webhook=nonsense"), "sinks.webhook"),
    ],
)
def test_a_wrong_answer_writes_nothing(
    words: tuple[str, ...], said: str, alone: CommandLine, file: Path
) -> None:
    """Exit 2, and what to say instead."""
    answer = alone.plainly("init", str(file), "--offline", "--yes", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert sorted(path.name for path in file.parent.iterdir()) == ["eventbus.yaml"]


def test_nothing_is_overwritten_unless_it_is_asked_for(alone: CommandLine, file: Path) -> None:
    """What is there stays; with --force it does not."""
    words = ("init", str(file), "--offline", "--yes", "--database", "shop", "--sink", "stdout")
    file.write_text("mine")
    answer = alone.plainly(*words)
    assert (answer.code, file.read_text()) == (2, "mine")
    assert "--force" in answer.err
    assert alone.plainly(*words, "--force").code == 0
    assert _read(file).sinks
    assert alone.plainly(words[0], str(file / "no" / "folder.yaml"), *words[2:]).code == 2


def test_answers_may_be_typed(alone: CommandLine, file: Path) -> None:
    """A wrong sink is asked for again; who ends the conversation gets no file."""
    typed = f"{AWAY}\nshop\norders\nkafak=x\nfile=out.jsonl\nstdout\n\nmongodb\nn\nn\n"
    answer = alone.plainly("init", str(file), typed=typed)
    assert answer.code == 0, answer.err
    assert "did you mean 'kafka'?" in answer.err
    assert "MongoDB: 127.0.0.1:1: " in answer.err
    config = _read(file)
    assert (list(config.sinks), list(config.subscriptions)) == (["file", "stdout"], ["orders"])
    file.unlink()
    assert alone.plainly("init", str(file), "--offline", typed="mongodb://x/\n").code == 1
    assert not file.exists()


@pytest.fixture
def shop(mongo: MongoService, fresh_database: str) -> str:
    """A database with a collection that keeps images, and one that does not."""
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        on = {"enabled": True}
        client[fresh_database].create_collection("kept", changeStreamPreAndPostImages=on)
        client[fresh_database].create_collection("plain")
    return fresh_database


@pytest.mark.services
def test_the_server_is_looked_at(alone: CommandLine, file: Path, mongo: MongoService, shop: str) -> None:
    """What is there is offered; images are used where all keep them, else it is said how to have them."""
    words = ("init", str(file), "--uri", mongo.uri, "--database", shop, "--sink", "stdout", "--force")
    answer = alone.plainly(*words, typed="kept, absent\nmongodb\n\n\n")
    assert answer.code == 0, answer.err
    assert "there: kept, plain" in answer.err
    assert f"there is no collection {shop}.absent yet" in answer.err
    assert "update_lookup" in file.read_text()
    assert alone.plainly(*words, "--yes", "--collections", "kept").code == 0
    assert "full_document: when_available" in file.read_text()
    answer = alone.plainly(*words, "--yes")
    assert f'{shop}.plain keeps no images; in mongosh: db.getSiblingDB("{shop}")' in answer.err
    assert alone.plainly("validate", "--connect", str(file)).code == 0
