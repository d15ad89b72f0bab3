"""Commands for an administrator, as they are typed into ``mongosh``. Their arguments are JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

__all__ = ["called", "command"]


def called(database: str, method: str, *arguments: Any) -> str:
    """A method of a database, with its arguments."""
    return f"db.getSiblingDB({_json(database)}).{method}({', '.join(map(_json, arguments))})"


def command(database: str, body: Mapping[str, Any] | Sequence[Any]) -> str:
    """A command to a database."""
    return called(database, "runCommand", body)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
