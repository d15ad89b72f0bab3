"""Builds what is released, and looks at it: a source archive and a wheel, with `make release`.

    python -m tests.dist.release FOLDER

Both are the same, byte by byte, whoever builds them: times are that of the last commit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import eventbus
from tests.docs.pages import ROOT

__all__ = ["Artifacts", "build", "problems"]

_IN_WHEEL = {
    *("eventbus/py.typed", "eventbus/demo/demo.yaml", "eventbus/demo/demo-kafka.yaml"),
    *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("eventbus/**/*.template")),
}
_IN_SDIST = {"eventbus/py.typed", "README.md", "LICENSE", "CHANGELOG.md", "Dockerfile", "tests/conftest.py"}


class Artifacts:
    """What was built.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        (self.wheel,) = folder.glob("eventbus-*.whl")
        (self.sdist,) = folder.glob("eventbus-*.tar.gz")


def build(folder: Path) -> Artifacts:
    """Build both, from what is checked out.

    Args:
        folder: Where they go; what is there already is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _time_of_commit()}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return Artifacts(folder)


def problems(artifacts: Artifacts) -> Iterator[str]:
    """What is wrong with what was built, one sentence each."""
    version = eventbus.__version__
    if not re.search(
        rf"^## ({re.escape(version)}|Unreleased)\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    ):
        yield f"CHANGELOG.md has no section {version}"
    for path in (artifacts.wheel, artifacts.sdist):
        if not path.name.startswith(f"eventbus-{version}"):
            yield f"{path.name} is not version {version}"
    with zipfile.ZipFile(artifacts.wheel) as wheel:
        inside = set(wheel.namelist())
    licences = {name for name in inside if name.endswith(".dist-info/licenses/LICENSE")}
    if not licences:
        yield "the wheel has no LICENSE"
    yield from (f"the wheel lacks {name}" for name in sorted(_IN_WHEEL - inside))
    foreign = {name.split("/")[0] for name in inside} - {"eventbus", f"eventbus-{version}.dist-info"}
    yield from (f"the wheel has {name}, which is not to be installed" for name in sorted(foreign))
    with tarfile.open(artifacts.sdist) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    yield from (f"the source archive lacks {name}" for name in sorted(_IN_SDIST - files))
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(artifacts.wheel), str(artifacts.sdist)],
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode:
        yield f"twine: {checked.stdout}{checked.stderr}"


def _time_of_commit() -> str:
    """Seconds since 1970; of a source archive, which has no commits, that of the changelog."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or str(int((ROOT / "CHANGELOG.md").stat().st_mtime))


if __name__ == "__main__":
    built = build(Path(sys.argv[1]))
    found = list(problems(built))
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if not found:
        print(f"{built.sdist.name} and {built.wheel.name} in {sys.argv[1]}: right")
    sys.exit(bool(found))
