"""The layers of the design hold: imports point down only, and the engine runs on any event loop."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "eventbus"
ENGINE = [*sorted(PACKAGE.glob("core/*.py")), *sorted(PACKAGE.glob("runtime/*.py"))]
CORE_MAY_IMPORT = {*sys.stdlib_module_names, "anyio", "tenacity", "eventbus"} - {"asyncio"}
WORDS = ("eventbus.core", "eventbus.model", "eventbus.errors", "eventbus.canonical", "eventbus.units")


def imported(file: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""


def test_the_contracts_of_the_layers_are_kept() -> None:
    """As they stand in pyproject.toml; every module of the package has its layer."""
    check = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", check, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ENGINE, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_engine_imports_no_event_loop(file: Path) -> None:
    """Or it would not run under a virtual clock."""
    loops = {name.partition(".")[0] for name in imported(file)} & {"asyncio", "trio", "uvloop"}
    assert loops == set()


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("core/*.py")), ids=lambda file: file.name)
def test_core_needs_the_standard_library_and_two_packages(file: Path) -> None:
    """And of eventbus nothing but its words."""
    names = list(imported(file))
    assert {name.partition(".")[0] for name in names} <= CORE_MAY_IMPORT
    assert all(name.startswith(WORDS) for name in names if name.startswith("eventbus"))
