"""All that is wrong with a configuration, gathered so that the user hears of it at once."""

from __future__ import annotations

import json
import re
from typing import Final

from eventbus.config.nodes import Path, Place
from eventbus.errors import ConfigurationError
from eventbus.telemetry.redaction import redact

__all__ = ["Problems", "path_text"]

_SIMPLE_KEY: Final = re.compile(r"[\w$-]+")


class Problems:
    """Collects problems; each becomes one line ``file:line:col: path: message``."""

    def __init__(self) -> None:
        self._found: set[tuple[Place, str]] = set()

    def add(self, place: Place, path: Path, message: str) -> None:
        """Note one problem. The text passes through `redact` and is made one line."""
        where = f"{path_text(path)}: " if path else ""
        self._found.add((place, redact(" ".join(f"{where}{message}".split()))))

    def raise_any(self) -> None:
        """Say all that was found, in the order of its places.

        Raises:
            ConfigurationError: There was at least one problem.
        """
        if self._found:
            raise ConfigurationError(*(f"{place}: {text}" for place, text in sorted(self._found)))


def path_text(path: Path) -> str:
    """A path as people write it: ``subscriptions.orders.routes[1].sink``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if _SIMPLE_KEY.fullmatch(step) else f".{json.dumps(step)}"
    return text.removeprefix(".")
