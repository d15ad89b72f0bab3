"""What every package here keeps to: it builds on the interface alone, and its page tells all options."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from eventbus.config import load
from eventbus.registry import Registry
from tests.docs.options import models_in, written_options
from tests.docs.pages import blocks, tables

FOLDER = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in FOLDER.glob("*/pyproject.toml"))
KINDS = {"eventbus.sinks": "sink", "eventbus.sources": "source", "eventbus.stages": "stage"}
BASES = {"eventbus.sdk", "eventbus.testing"}

every_package = pytest.mark.parametrize("package", PACKAGES, ids=[path.name for path in PACKAGES])


def _project(package: Path) -> Mapping[str, Any]:
    project: Mapping[str, Any] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return project


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}"
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@every_package
def test_it_builds_on_the_interface_alone(package: Path) -> None:
    """Nothing else of eventbus is imported, and whatever else is, is declared."""
    own = package.name.replace("-", "_")
    declared = {re.split(r"[<>=;\[]", one)[0].replace("-py", "") for one in _project(package)["dependencies"]}
    files = list((package / "src").rglob("*.py"))
    assert files
    for name in {name for file in files for name in _imported(file)}:
        top = name.partition(".")[0]
        if top == "eventbus":
            assert name in BASES, name
        else:
            assert top == own or top in sys.stdlib_module_names or top in declared, name


@every_package
def test_it_is_a_package_that_others_can_use(package: Path) -> None:
    """A licence, types, tests and a page."""
    source = package / "src" / package.name.replace("-", "_")
    assert (source / "py.typed").exists()
    assert "Apache License" in (package / "LICENSE").read_text()
    assert list((package / "tests").glob("test_*.py"))
    assert _project(package)["license"] == "Apache-2.0"


@every_package
def test_it_is_installed_and_its_types_are_found(package: Path) -> None:
    """By the entry points that it declares."""
    for group, declared in _project(package)["entry-points"].items():
        for name, value in declared.items():
            assert value in {found.value for found in entry_points(group=group, name=name)}
            assert getattr(Registry.from_entry_points(), KINDS[group])(name)


def _options(model: type[BaseModel], within: str = "") -> Iterator[str]:
    for name, field in written_options(model).items():
        yield within + name
        for inner in models_in(field.annotation):
            yield from _options(inner, f"{within}{name}.")


@every_package
def test_its_page_tells_all_options(package: Path) -> None:
    """And none that there is not."""
    rows = tables(package / "README.md")["Options"]
    told = {name for row in rows for name in re.findall(r"`([\w.]+)`", row[0])}
    models = [
        getattr(Registry.from_entry_points(), KINDS[group])(name).Options
        for group, declared in _project(package)["entry-points"].items()
        for name in declared
    ]
    assert told == {option for model in models for option in _options(model)}


@every_package
def test_the_configurations_on_its_page_are_valid(package: Path, tmp_path: Path) -> None:
    """Each block of YAML is a whole configuration."""
    shown = blocks("yaml", package / "README.md")
    assert shown
    for block in shown:
        file = tmp_path / "shown.yaml"
        file.write_text(block.text)
        variables = dict.fromkeys(re.findall(r"\$\{(\w+)", block.text), "value")
        variables["MONGODB_URI"] = "mongodb://localhost/?replicaSet=rs0"
        assert load([file], Registry.from_entry_points(), variables).subscriptions
