"""Pydantic's JSON Schema made fit for an editor: what users write, not what the program holds.

Defaults are shown with their units, secrets and noise are left out, and wherever no text would do, a text
with ``${…}`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

from eventbus.units import Duration, Size

__all__ = ["REFERENCE", "tidied"]

_Schema: TypeAlias = dict[str, Any]

REFERENCE: Final[Mapping[str, _Schema]] = {
    "text-with-reference": {
        "type": "string",
        "pattern": r"\$\{",
        "description": "A text with ${VAR}, ${VAR:-default} or ${file:/path}.",
    }
}
"""The definition that tidied schemas refer to. No class can have its name."""

_ANNOTATIONS: Final = ("description", "default", "examples", "deprecated")
_DURATION_PATTERN: Final = TypeAdapter(Duration).json_schema()["pattern"]
_SIZE_PATTERN: Final = TypeAdapter(Size).json_schema()["pattern"]
_UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))


def tidied(schema: Any) -> Any:
    """The schema as an editor should see it."""
    if not isinstance(schema, dict):
        return schema  # true and false are schemas too
    inner = {
        word: _TIDY_BELOW.get(word, _as_it_is)(value) for word, value in schema.items() if word != "title"
    }
    if "default" in inner:
        inner = _with_readable_default(inner)
    return _or_reference(inner) if _takes_no_reference(inner) else inner


def _as_it_is(value: Any) -> Any:
    return value


def _tidied_values(schemas: Any) -> Any:
    return {key: tidied(schema) for key, schema in schemas.items()}


def _tidied_items(schemas: Any) -> Any:
    return [tidied(schema) for schema in schemas]


_TIDY_BELOW: Final[Mapping[str, Callable[[Any], Any]]] = {
    "properties": _tidied_values,
    "patternProperties": _tidied_values,
    "additionalProperties": tidied,
    "items": tidied,
    "prefixItems": _tidied_items,
    "anyOf": _tidied_items,
    "oneOf": _tidied_items,
    "allOf": _tidied_items,
}


def _with_readable_default(schema: _Schema) -> _Schema:
    default = schema["default"]
    rest = {word: value for word, value in schema.items() if word != "default"}
    if schema.get("pattern") == _DURATION_PATTERN and isinstance(default, float | int):
        return rest | {"default": _duration_text(default)}
    if schema.get("pattern") == _SIZE_PATTERN and isinstance(default, int):
        return rest | {"default": _size_text(default)}
    if default is None or isinstance(default, dict) or schema.get("format") == "password":
        return rest  # what its parts say again, and what must not be shown
    return schema


def _duration_text(secs: float) -> str:
    return f"{round(secs * 1000)}ms" if secs < 1 else f"{secs:.3f}".rstrip("0").rstrip(".") + "s"


def _size_text(size: int) -> str:
    return next(f"{size // factor}{unit}" for unit, factor in _UNITS if size % factor == 0)


def _takes_no_reference(schema: _Schema) -> bool:
    """Whether this is a single value and yet not any text."""
    is_narrow_text = schema.get("type") == "string" and ("pattern" in schema or "format" in schema)
    is_secret = schema.get("format") == "password"
    is_number = schema.get("type") in ("integer", "number", "boolean")
    return is_number or "enum" in schema or (is_narrow_text and not is_secret)


def _or_reference(schema: _Schema) -> _Schema:
    notes = {word: value for word, value in schema.items() if word in _ANNOTATIONS}
    core = {word: value for word, value in schema.items() if word not in _ANNOTATIONS}
    return notes | {"anyOf": [core, {"$ref": "#/$defs/text-with-reference"}]}
