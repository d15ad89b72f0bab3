"""A configuration as it is in force, for people who must not see its secrets.

It is made of the values that the daemon runs, so what a variable or a file held is in it too. Whatever was
declared a secret is masked; beside that what a URI hides, all values of headers, and text under a name that
sounds like a secret, for plugins declare their options themselves.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr

from eventbus.config import Config, MongoDBAccess
from eventbus.expressions.expression import Expression
from eventbus.telemetry.redaction import MASK, redact

__all__ = ["shown"]

_SECRET: Final = re.compile(
    r"passw|secret|token$|api_?key|access_?key|private|credential|salt|^authori[sz]ation$|cookie",
    re.IGNORECASE,
)
_ALL_MASKED: Final = frozenset({"headers", "settings"})
_LEFT_OUT: Final = frozenset({"cls"})
"""What is of the program."""


def shown(config: Config) -> dict[str, Any]:
    """The configuration as JSON can hold it."""
    return {name: _shown(name, value) for name, value in _fields(config)}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, MongoDBAccess):
        return {"uri": redact(value.uri.get_secret_value())}
    if isinstance(value, Mapping):
        masked = name in _ALL_MASKED
        return {str(key): MASK if masked else _shown(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(name, one) for one in value]
    if isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return {key: _shown(key, one) for key, one in _fields(value)}
    return _plain(name, value)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        for key, field in type(value).model_fields.items():
            yield field.alias or key, getattr(value, key)
        return
    for one in dataclasses.fields(value):
        if one.name not in _LEFT_OUT:
            yield one.name, getattr(value, one.name)


def _plain(name: str, value: Any) -> Any:
    """A value without parts. One of a kind that is not known is shown by its kind alone."""
    match value:
        case SecretStr() | SecretBytes():
            return MASK
        case Enum():
            return _plain(name, value.value)
        case str():
            return MASK if value and _SECRET.search(name) else redact(value)
        case bool() | int() | float() | None:
            return value if value is None or math.isfinite(value) else str(value)
        case Path() | Expression():
            return _plain(name, value.text if isinstance(value, Expression) else str(value))
    return f"<{type(value).__name__}>"
