"""Files in, a checked configuration out: the whole way in one function."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from eventbus.config.interpolation import interpolated
from eventbus.config.merging import merged
from eventbus.config.nodes import MappingNode, Place
from eventbus.config.problems import Problems
from eventbus.config.reading import read_file
from eventbus.config.resolution import resolve
from eventbus.config.resolved import Config
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["load"]


def load(
    paths: Sequence[str | os.PathLike[str]], registry: Registry, environ: Mapping[str, str] = os.environ
) -> Config:
    """Read, join, fill in and check one or several files.

    Args:
        paths: The files; what they hold is joined by section, and none overrides another.
        registry: The types of sinks and sources that there are.
        environ: Where variables come from.

    Returns:
        The configuration, every reference in it resolved.

    Raises:
        ConfigurationError: With every problem that could be found, each with its place, in order.
    """
    problems = Problems()
    config = _loaded([Path(path) for path in paths], registry, environ, problems)
    problems.raise_any()
    if config is None:
        raise ConfigurationError("no file of configuration was given")
    return config


def _loaded(
    paths: Sequence[Path], registry: Registry, environ: Mapping[str, str], problems: Problems
) -> Config | None:
    files = [read_file(path, problems) for path in paths]
    sound = [file for file in files if file is not None]
    if not sound or len(sound) < len(files):
        return None  # what a file that cannot be read would have declared is not known
    try:
        root = interpolated(merged(sound, problems), environ, problems)
        assert isinstance(root, MappingNode)
        return resolve(root, registry, problems)
    except RecursionError:
        problems.add(Place(str(paths[0]), 1, 1), (), "nested too deeply")
        return None
