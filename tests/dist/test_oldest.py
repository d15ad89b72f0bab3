"""The oldest versions of dependencies that pyproject.toml allows: the fast tests pass with them, too.

With the newest ones, or those that tests/constraints.txt names, everything else here is run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = [pytest.mark.dist, pytest.mark.timeout(900)]

UV = Path(sys.executable).with_name("uv")
EXTRAS = ("avro", "compression", "ed25519", "parquet", "regex", "uvloop")
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
    wanted = place / "requirements.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    _uv(
        *("pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python", sys.executable),
        *(*extras, "-o", wanted, ROOT / "pyproject.toml"),
    )
    _uv("venv", "--quiet", "--python", sys.executable, place / "env")
    python = place / "env/bin/python"
    _uv("pip", "install", "--quiet", "--python", python, "-r", wanted)
    _uv("pip", "install", "--quiet", "--python", python, "-c", wanted, *TOOLS)
    _uv("pip", "install", "--quiet", "--python", python, "--no-deps", ROOT)
    return python


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
    """Each bound of pyproject.toml is what is installed, up to zeros at its end."""
    installed = _installed(oldest)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        found = re.match(r"([\w.-]+)(?:\[\w+\])?(?:>=|==)([\d.]+)", requirement)
        assert found is not None, requirement
        assert _plain(installed[found[1].lower()]) == _plain(found[2]), requirement


def _plain(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version)


def test_the_fast_tests_pass_with_them(oldest: Path) -> None:
    """Warnings of old versions are no failures: they are not ours to mend."""
    folders = [f"tests/{name}" for name in TESTED]
    options = [
        "-q",
        "--ignore=tests/core/test_layers.py",
        "-m",
        "not services and not slow and not dist",
        "-W",
        "default",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [oldest, "-m", "pytest", *options, *folders], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
