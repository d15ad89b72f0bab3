"""Apply each mutant to a copy of the package, run the tests that must notice, and report who survived.

    python -m tests.mutants [part of a name]

The working tree is never touched. Exit code 1 if a mutant survives, if its text is no longer found, or if the
tests fail without any mutant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECS = 300.0


def main(wanted: str) -> int:
    """Try every mutant whose name contains `wanted`."""
    chosen = [mutant for mutant in MUTANTS if wanted in mutant.name]
    stale = [mutant.name for mutant in chosen if _text(mutant).count(mutant.old) != 1]
    for name in stale:
        print(f"STALE     {name}: its text is not found exactly once")
    with tempfile.TemporaryDirectory(prefix="eventbus-mutants-") as directory:
        copy = Path(directory)
        for folder in ("eventbus", "tests"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for tests in sorted({mutant.tests for mutant in chosen}):
            if not _passes(copy, tests):
                print(f"BROKEN    {tests} fails without any mutant")
                return 1
        survivors = [
            mutant.name for mutant in chosen if mutant.name not in stale and not _is_killed(copy, mutant)
        ]
    killed = len(chosen) - len(survivors) - len(stale)
    print(f"{len(chosen)} mutants: {killed} killed, {len(survivors)} survived, {len(stale)} stale")
    return int(bool(survivors or stale))


def _text(mutant: Mutant) -> str:
    return (ROOT / "eventbus" / mutant.file).read_text()


def _is_killed(copy: Path, mutant: Mutant) -> bool:
    file = copy / "eventbus" / mutant.file
    original = file.read_text()
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        killed = not _passes(copy, mutant.tests)
    finally:
        file.write_text(original)
    print(f"{'killed   ' if killed else 'SURVIVED '} {mutant.name}  [{mutant.breaks}]", flush=True)
    return killed


def _passes(copy: Path, tests: str) -> bool:
    """Whether the tests pass on the copy; a run that does not end has failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EVENTBUS_MUTANT": "1",
    }
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT_SECS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
