"""Apply each mutant to a copy of the package, run the test that must notice, and report who survived.

    python -m tests.mutants [part of a name]

The working tree is never touched. The exit code is 1 if a mutant survives, if its text is no longer found, if
its test ends without a verdict, or if the tests fail without any mutant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.every import EVERY
from tests.mutants.table import Mutant

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECS = 300.0
WORKERS = 2
PASSED, FAILED = 0, 1
"""Exit codes of pytest; every other one is no verdict."""
ENDLESS = -1


def main(wanted: str) -> int:
    """Try every mutant whose name contains `wanted`."""
    begun = time.monotonic()
    chosen = [mutant for mutant in EVERY if wanted in mutant.name]
    if not chosen:
        print(f"no mutant's name contains {wanted!r}")
        return 1
    with tempfile.TemporaryDirectory(prefix="eventbus-mutants-") as directory:
        copies = [_copied(Path(directory) / str(number)) for number in range(WORKERS)]
        if _run(copies[0], sorted({mutant.test for mutant in chosen})) != PASSED:
            print("BROKEN    the tests fail without any mutant")
            return 1
        verdicts = _try_all(chosen, copies)
    survivors = [verdict for verdict in verdicts if verdict != "killed"]
    killed = len(verdicts) - len(survivors)
    print(f"{len(verdicts)} mutants: {killed} killed, {len(survivors)} not, {time.monotonic() - begun:.0f} s")
    return int(bool(survivors))


def _copied(place: Path) -> Path:
    for folder in ("eventbus", "tests", "benchmarks", "docs", "plugins"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def _try_all(mutants: Sequence[Mutant], copies: Sequence[Path]) -> list[str]:
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def attempt(mutant: Mutant) -> str:
        copy = free.get()
        try:
            verdict = _verdict(copy, mutant)
        finally:
            free.put(copy)
        print(f"{verdict:9} {mutant.name}  [{mutant.breaks}]", flush=True)
        return verdict

    with ThreadPoolExecutor(len(copies)) as workers:
        return list(workers.map(attempt, mutants))


def _verdict(copy: Path, mutant: Mutant) -> str:
    """killed, SURVIVED, ENDLESS, STALE if its text is not found once, or UNCLEAR if no test failed."""
    file = copy / "eventbus" / mutant.file
    original = file.read_text()
    if original.count(mutant.old) != 1:
        return "STALE"
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        code = _run(copy, [mutant.test])
    finally:
        file.write_text(original)
    return {PASSED: "SURVIVED", FAILED: "killed", ENDLESS: "ENDLESS"}.get(code, "UNCLEAR")


def _run(copy: Path, tests: Sequence[str]) -> int:
    """Run tests on a copy, which comes first on the path; pytest's exit code, or that it never ended."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", *tests]
    packages = os.pathsep.join(map(str, copy.glob("plugins/*/src")))
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": packages,
        "EVENTBUS_MUTANT": "1",
    }
    environment.pop("EVENTBUS_PROOF_RUNS", None)
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT_SECS, check=False
        )
    except subprocess.TimeoutExpired:
        return ENDLESS
    if done.returncode not in {PASSED, FAILED}:
        print(done.stdout.decode()[-2000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
