"""What a shell offers after Tab: names of the configuration that the words so far name, or of eventbus.yaml.

It reads the files as they are, and offers nothing where they cannot be read: whoever types is told so later.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

__all__ = ["routes", "sinks", "subscriptions"]

_USUAL = Path("eventbus.yaml")


def subscriptions(incomplete: str) -> list[str]:
    """Names of subscriptions."""
    return _beginning(_section("subscriptions"), incomplete)


def routes(incomplete: str) -> list[str]:
    """Names of routes: those of the subscription that was named, else of all."""
    declared = _section("subscriptions")
    named = [word for word in _typed() if word in declared]
    among = [declared[word] for word in named] or declared.values()
    return _beginning({name: None for one in among for name in _routes(one)}, incomplete)


def sinks(incomplete: str) -> list[str]:
    """Names of sinks."""
    return _beginning(_section("sinks"), incomplete)


def _beginning(names: Mapping[Any, Any], incomplete: str) -> list[str]:
    return [str(name) for name in names if str(name).startswith(incomplete)]


def _section(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for file in _files(_typed()) or [_USUAL]:
        section = _read(file).get(name)
        found |= section if isinstance(section, dict) else {}
    return found


def _typed() -> list[str]:
    """The line so far, as the shell hands it on. It has no end yet, so nobody has parsed it."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    try:
        return shlex.split(line)
    except ValueError:  # within quotes
        return line.split()


def _files(words: list[str]) -> list[Path]:
    """The configuration that the words name."""
    apart = [Path(word) for option, word in pairwise(words) if option in {"-c", "--config"}]
    return apart + [Path(word.partition("=")[2]) for word in words if word.startswith("--config=")]


def _read(file: Path) -> dict[Any, Any]:
    try:
        read = yaml.safe_load(file.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}


def _routes(subscription: Any) -> Iterator[str]:
    declared = subscription.get("routes") if isinstance(subscription, dict) else None
    for route in declared if isinstance(declared, list) else ():
        name = (route.get("name") or route.get("sink")) if isinstance(route, dict) else route
        if isinstance(name, str):
            yield name
