"""docs/plugins.md is done, step by step: what it shows of the package is there, and what it changes works."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventbus.sdk
import eventbus.testing
from eventbus.cli.plugins.making import make_plugin
from eventbus.config import load
from eventbus.registry import Registry
from tests.docs.pages import ROOT, blocks, code_spans, tables

PAGE = ROOT / "docs/plugins.md"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What the first command of the page makes."""
    assert blocks("console", PAGE)[0].text.startswith("$ eventbus plugin new spool\n")
    make_plugin("spool", "sink", tmp_path)
    return tmp_path / "eventbus-spool"


def test_what_is_shown_of_the_package_is_in_it(package: Path) -> None:
    """Every piece of code, and every file."""
    code = [file.read_text() for file in package.rglob("*.py")]
    for block in blocks("python", PAGE):
        assert any(block.text in text for text in code), block
    for row in tables(PAGE)["1. Make it"]:
        assert (package.parent / row[0].strip("`")).exists()


@pytest.mark.slow
def test_what_is_changed_works(package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each diff can be applied; then the tests pass, and the configuration is valid."""
    for block in blocks("diff", PAGE):
        subprocess.run(["git", "apply", "-"], input=block.text, text=True, check=True, cwd=package)
    assert "SecretStr" in (package / "src/eventbus_spool/sink.py").read_text()
    source = str(package / "src")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"],
        capture_output=True,
        text=True,
        check=False,
        cwd=package,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([source, str(ROOT)])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(source)
    for name in ("eventbus_spool", "eventbus_spool.sink"):  # another page has a module of that name
        monkeypatch.delitem(sys.modules, name, raising=False)
    sink = importlib.import_module("eventbus_spool").SpoolSink
    for name in ("eventbus_spool", "eventbus_spool.sink"):
        del sys.modules[name]
    every = Registry.from_entry_points()
    registry = Registry({**every.sinks, "spool": sink}, every.sources, every.stages)
    (shown,) = blocks("yaml", PAGE)
    file = tmp_path / "eventbus.yaml"
    for key in ("", '\n    key: "${SPOOL_KEY}"'):
        file.write_text(shown.text.replace("type: spool", f"type: spool{key}"))
        loaded = load([file], registry, {"SPOOL_KEY": "a secret"}).sinks["archive"]
        assert "a secret" not in repr(loaded)


def test_the_names_on_the_page_are_of_the_interface() -> None:
    """Whatever looks like a name of it can be imported; so can what makes an outcome."""
    known = {*eventbus.sdk.__all__, *eventbus.testing.__all__}
    spans = code_spans(PAGE)
    named = {
        span for span in spans if re.fullmatch(r"(Sink|Stage|Transaction|Source)\w+|\w+(Text|Error)", span)
    }
    assert len(named) > 6
    assert named <= known
    for _, outcome, _ in tables(PAGE)["5. Errors"]:
        assert isinstance(
            eval(outcome.strip("`"), {**vars(eventbus.sdk), "reason": "r"}), eventbus.sdk.Outcome
        )
    groups = [row[0].strip("`") for row in tables(PAGE)["9. Packaging"]]
    assert groups == ["eventbus.sinks", "eventbus.sources", "eventbus.stages", "eventbus.functions"]
