"""`eventbus plugin new`: a package that works and whose tests pass, made from templates."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import typer

from eventbus import __version__
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["make_plugin"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST: Final = 40
_OF_EVERY_STAGE: Final = frozenset({"name", "on_error"})
_FILES: Final = {
    "pyproject.toml": "all/pyproject.toml",
    ".gitignore": "all/gitignore",
    "README.md": "{kind}/README.md",
    "src/{module}/__init__.py": "all/__init__.py",
    "src/{module}/{kind}.py": "{kind}/{kind}.py",
    "src/{module}/py.typed": None,
    "tests/test_{kind}.py": "{kind}/test_{kind}.py",
}
"""By file of the package: its template; None for a file that is empty."""


@dataclass(frozen=True, slots=True)
class _Plugin:
    """What the templates are filled with.

    Args:
        name: The type that users write.
        kind: ``sink``, ``source`` or ``stage``.
    """

    name: str
    kind: str

    @property
    def package(self) -> str:
        return f"eventbus-{self.name.replace('_', '-')}"

    @property
    def words(self) -> Mapping[str, str]:
        stem = "".join(part.capitalize() for part in self.name.split("_"))
        return {
            "name": self.name,
            "kind": self.kind,
            "package": self.package,
            "module": f"eventbus_{self.name}",
            "cls": f"{stem}{self.kind.capitalize()}",
            "options": f"{stem}Options",
            "reader": f"{stem}Reader",
            "versions": _versions(),
        }


def make_plugin(name: str, kind: str, into: Path) -> None:
    """Make the package of a plugin, and say what to type next.

    Args:
        name: The type that users write.
        kind: ``sink``, ``source`` or ``stage``.
        into: The folder in which the package's own is made.

    Raises:
        ConfigurationError: The name will not do, the folder is there, or cannot be made. Nothing is written.
    """
    wrong = _wrong_name(name, kind)
    if wrong is not None:
        raise ConfigurationError(wrong)
    plugin = _Plugin(name, kind)
    folder = into / plugin.package
    if folder.exists() or folder.is_symlink():
        raise ConfigurationError(
            f"{folder} is there already: take another name, or another folder with --into"
        )
    try:
        with tempfile.TemporaryDirectory(prefix=f".{plugin.package}.", dir=into) as draft:
            made = Path(draft, plugin.package)
            _write(made, plugin)
            made.rename(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from None
    _tell(folder, plugin)


def _wrong_name(name: str, kind: str) -> str | None:
    """Why it can be no type, and what to write instead; None if it can."""
    legal = re.sub(r"[^a-z0-9]+", "_", name.lower().removeprefix("eventbus")).strip("_0123456789")[:_LONGEST]
    instead = f", such as {legal}" if legal and legal != name else ""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return (
            f"{name!r} can be no type: write lower-case letters and digits with single underscores between "
            f"them, a letter first, {_LONGEST} signs at most{instead}"
        )
    if name.startswith("eventbus"):
        return f"{name!r}: the package's name will begin with eventbus anyway; write the type alone{instead}"
    if name.startswith("test"):
        return f"{name!r}: pytest would take its class for tests: take a name that begins otherwise"
    registry = Registry.from_entry_points()
    known = {"sink": registry.sinks, "source": registry.sources, "stage": registry.stages}
    if name in known[kind]:
        return (
            f"there is a {kind} {name!r} already: take another name ('eventbus plugin list --all' has them)"
        )
    if kind == "stage" and name in _OF_EVERY_STAGE:
        return f"{name!r} is an option of every stage: take another name"
    return None


def _write(folder: Path, plugin: _Plugin) -> None:
    for path, text in _contents(plugin):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _contents(plugin: _Plugin) -> Iterator[tuple[str, str]]:
    templates = files("eventbus.cli.plugins") / "templates"
    for path, name in _FILES.items():
        text = ""
        if name is not None:
            template = templates / f"{name.format(**plugin.words)}.template"
            text = Template(template.read_text()).substitute(plugin.words)
        yield path.format(**plugin.words), text


def _versions() -> str:
    """The versions of eventbus that have the same interface as this one: see docs/plugins.md."""
    major, minor = map(int, __version__.split(".")[:2])
    after = f"{major + 1}" if major else f"0.{minor + 1}"
    return f">={major}.{minor},<{after}"


def _tell(folder: Path, plugin: _Plugin) -> None:
    module, kind = plugin.words["module"], plugin.kind
    typer.echo(f"wrote {folder}: the {kind} is in src/{module}/{kind}.py, its tests in tests/test_{kind}.py")
    typer.echo("next:")
    typer.echo(f"  cd {shlex.quote(str(folder))}")
    typer.echo("  pip install -e '.[test]'")
    typer.echo("  pytest")
    typer.echo("  eventbus plugin list")
