"""Does what the Dockerfile's first stage does, without an engine, into a folder.

    python -m tests.dist.image_steps FOLDER

The steps are read from the Dockerfile, so that they cannot differ from it: its files are copied as far as
.dockerignore lets them, and each RUN is run by the stage's shell in the stage's folder, with its arguments as
variables. Only PREFIX, where the result lies, is another one. What a container adds, its own root, is not
there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.dist.dockerfile import Copy, Stage, expanded, stages
from tests.dist.ignoring import Ignoring
from tests.docs.pages import ROOT

__all__ = ["DOCKERFILE", "build"]

DOCKERFILE = ROOT / "Dockerfile"
_IGNORING = Ignoring(ROOT / ".dockerignore")


def build(folder: Path, **arguments: str) -> Path:
    """Run the stage `build`.

    Args:
        folder: Where its sources and its result go.
        arguments: What is given as `--build-arg`.

    Returns:
        What the last stage takes over as PREFIX.
    """
    stage = stages(DOCKERFILE)["build"]
    source, prefix = folder / "src", folder / "opt"
    source.mkdir(parents=True, exist_ok=True)
    shell: list[str] = []
    variables = {"PREFIX": str(prefix), **arguments}
    for instruction in stage.instructions:
        match instruction.word:
            case "ARG":
                name, _, default = instruction.rest.partition("=")
                variables.setdefault(name, default)
            case "ENV":
                variables |= dict(word.split("=", 1) for word in instruction.rest.split())
            case "SHELL":
                shell = instruction.words
            case "WORKDIR":
                assert instruction.rest == "/src", "the other folder is not known here"
            case "COPY":
                _copy(Copy.of(instruction), source)
            case "RUN":
                _run([*shell, instruction.rest], source, variables)
            case other:
                raise AssertionError(f"Dockerfile:{instruction.line}: {other} is not known here")
    return prefix


def environment(stage: Stage, prefix: Path) -> dict[str, str]:
    """The variables that a container of a stage has, with the result at another place."""
    found = {"PATH": os.environ["PATH"], "PREFIX": str(prefix)}
    for instruction in stage.all("ENV"):
        for word in instruction.rest.split():
            name, _, value = word.partition("=")
            found[name] = expanded(value, found)
    return found


def _copy(copy: Copy, source: Path) -> None:
    for name in copy.sources:
        target = source / copy.target
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=_left_out, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, target)


def _left_out(directory: str, names: list[str]) -> set[str]:
    place = Path(directory).relative_to(ROOT)
    return {name for name in names if _IGNORING.leaves_out(str(place / name))}


def _run(command: list[str], cwd: Path, variables: Mapping[str, str]) -> None:
    """Our own virtual environment is no part of it: `python` is the one that it was made from."""
    outside = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    python = Path(sys.base_prefix) / "bin"
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=cwd, env={**outside, "PATH": path, **variables}, check=True)


if __name__ == "__main__":
    place = Path(sys.argv[1]).absolute()
    built = build(place)
    document = json.loads((built / "share/eventbus.cdx.json").read_text())
    print(f"{built}: {len(document['components'])} packages")
