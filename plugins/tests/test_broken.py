"""Packages that are broken on purpose: who does not use them is not harmed, and who does is told which."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymongo import MongoClient

from eventbus.config import json_schema, load
from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from tests.docs.pages import blocks
from tests.e2e.daemon import DaemonProcess

PACKAGES = sorted(path.parent for path in Path(__file__).parents[1].glob("*/pyproject.toml"))
URI = "mongodb://localhost/?replicaSet=rs0"
BREAKS = {
    "it cannot be imported": "raise RuntimeError('no licence')",
    "what it needs is not there": "import a_library_that_is_not_installed",
    "it ends whoever imports it": "raise SystemExit(3)",
    "what it declares is not there": "",
    "what it declares has no options": "class {target}:\n    pass\n",
    "what it declares can do nothing": "import pydantic as p\n\nclass {target}:\n    Options = p.BaseModel\n",
}

every_package = pytest.mark.parametrize("package", PACKAGES, ids=[path.name for path in PACKAGES])


@dataclass(frozen=True)
class Declared:
    """What a package declares: a type of a kind, and where it is."""

    kind: str
    type: str
    module: str
    target: str

    def broken(self, folder: Path, text: str) -> None:
        """Put a module into a folder that goes before the package's own."""
        path = folder / self.module.partition(".")[0]
        path.mkdir(exist_ok=True)
        (path / "__init__.py").write_text(text.format(target=self.target))


def _declared_by(package: Path) -> Declared:
    groups = tomllib.loads((package / "pyproject.toml").read_text())["project"]["entry-points"]
    ((group, (declared, *_)), *_) = [(group, list(types.items())) for group, types in groups.items()]
    module, _, target = declared[1].partition(":")
    return Declared(group.removeprefix("eventbus.").removesuffix("s"), declared[0], module, target)


def _used(package: Path) -> str:
    """The first configuration on its page."""
    return re.sub(r"\$\{\w+[^}]*\}", URI, blocks("yaml", package / "README.md")[0].text)


@pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS)
@every_package
def test_whoever_uses_a_broken_package_is_told_which(
    package: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its type, its name and its version, in one line; the schema says that it knows no more."""
    declared = _declared_by(package)
    declared.broken(tmp_path, text)
    top = declared.module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "used.yaml"
    file.write_text(_used(package))
    try:
        with pytest.raises(ConfigurationError) as caught:
            load([file], Registry.from_entry_points(), {})
        named = f"{declared.kind} type {declared.type!r} of package {package.name} "
        assert any(named in problem for problem in caught.value.problems), caught.value.problems
        assert named in str(json_schema(Registry.from_entry_points()))
    finally:
        sys.modules.pop(top, None)


@pytest.mark.services
def test_the_daemon_runs_without_those_that_it_does_not_use(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """All of them end whoever imports them: changes go on to a file; with one in use the daemon names it."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for package in PACKAGES:
        _declared_by(package).broken(broken, BREAKS["it ends whoever imports it"])
    out = tmp_path / "out.jsonl"
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": str(tmp_path / "state.db")},
        "sinks": {"out": {"type": "file", "path": str(out)}},
        "subscriptions": {"orders": {"source": {"database": fresh_database}, "routes": ["out"]}},
    }
    with (
        DaemonProcess(tmp_path, config, {"PYTHONPATH": str(broken)}).start() as daemon,
        MongoClient[dict[str, int]](mongo.uri) as client,
    ):
        client[fresh_database].orders.insert_one({"_id": 1})
        daemon.wait_for(lambda: out.exists() and out.read_text(), "the change")
        assert daemon.terminate() == 0
    (tmp_path / "used.yaml").write_text(_used(PACKAGES[0]))
    done = subprocess.run(
        [sys.executable, "-m", "eventbus", "run", "-c", "used.yaml"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(broken)},
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    assert f"of package {PACKAGES[0].name} " in done.stderr
    assert "Traceback" not in done.stderr
