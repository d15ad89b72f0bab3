"""The oldest versions of dependencies that eventbus and the packages allow: fast tests pass with them, too.

With the newest ones, or those that tests/constraints.txt names, everything else here is run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT

pytestmark = [pytest.mark.dist, pytest.mark.timeout(900)]

UV = Path(sys.executable).with_name("uv")
EXTRAS = ("avro", "compression", "ed25519", "otel", "parquet", "regex", "uvloop")
PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
TOOLS = (
    "pytest",
    "pytest-timeout",
    "hypothesis",
    "trio",
    "cloudevents",
    "standardwebhooks",
    "testcontainers",
)
TESTED = ("core", "encoding", "expressions", "stages", "sinks", "state", "config")
"""Where our code meets theirs, less the layers, which are a tool's matter; the engine, which knows only
anyio, is tested everywhere else."""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with them."""
    place = tmp_path_factory.mktemp("oldest")
    wanted, of_packages = place / "requirements.txt", place / "packages.in"
    of_packages.write_text("\n".join(line for package in PACKAGES for line in _required_by(package)))
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    _uv(
        *("pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python", sys.executable),
        *(*extras, "-o", wanted, ROOT / "pyproject.toml", of_packages),
    )
    _uv("venv", "--quiet", "--python", sys.executable, place / "env")
    python = place / "env/bin/python"
    _uv("pip", "install", "--quiet", "--python", python, "-r", wanted)
    _uv("pip", "install", "--quiet", "--python", python, "-c", wanted, *TOOLS)
    _uv("pip", "install", "--quiet", "--python", python, "--no-deps", ROOT, *PACKAGES)
    return python


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def _required_by(package: Path) -> list[str]:
    """What a package needs besides eventbus, which no registry has."""
    return [line for line in _project(package)["dependencies"] if line != "eventbus"]


def _uv(*words: object) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [UV, *map(str, words)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def _installed(python: Path) -> dict[str, str]:
    said = subprocess.run(
        [UV, "pip", "freeze", "--python", python], capture_output=True, text=True, check=True
    ).stdout
    pairs = (line.split("==") for line in said.splitlines() if "==" in line)
    return {name.lower(): version for name, version in pairs}


def test_they_are_the_oldest(oldest: Path) -> None:
    """Each bound is what is installed, up to zeros at its end; that of eventbus goes before a package's."""
    installed = _installed(oldest)
    project = _project(ROOT)
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    ours = {}
    for requirement in (*project["dependencies"], *extras):
        name, bound = _bound(requirement)
        ours[name] = bound
        assert _plain(installed[name]) == _plain(bound), requirement
    for requirement in (line for package in PACKAGES for line in _required_by(package)):
        name, bound = _bound(requirement)
        assert _plain(installed[name]) == _plain(ours.get(name, bound)), requirement


def _bound(requirement: str) -> tuple[str, str]:
    found = re.match(r"([\w.-]+)(?:\[\w+\])?(?:>=|==)([\d.]+)", requirement)
    assert found is not None, requirement
    return found[1].lower(), found[2]


def _plain(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version)


def test_the_fast_tests_pass_with_them(oldest: Path) -> None:
    """Warnings of old versions are no failures: they are not ours to mend."""
    folders = [f"tests/{name}" for name in TESTED]
    packages = [f"plugins/{package.name}" for package in PACKAGES]
    _pass(oldest, "-m", "not services and not slow and not dist", *folders, *packages)


def test_messages_reach_a_real_nats_with_them(oldest: Path) -> None:
    """Of its client hardly anything is met without a server."""
    _pass(oldest, "plugins/eventbus-nats/tests/test_nats_sink.py")


def _pass(python: Path, *words: str) -> None:
    options = ("-q", "--ignore=tests/core/test_layers.py", "-W", "default", "-p", "no:cacheprovider")
    done = subprocess.run(
        [python, "-m", "pytest", *options, *words], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
