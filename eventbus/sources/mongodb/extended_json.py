"""MQL as it is written in YAML, made BSON: ``{$oid: ...}``, ``{$date: ...}`` and the like become values.

A mapping is such a value only if it has one key and that key is one of Extended JSON's own; everything else
with a dollar is an operator of MQL and stays. https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import bson
from bson import json_util
from bson.binary import UuidRepresentation
from bson.errors import BSONError

__all__ = ["bson_values"]

_WRAPPERS: Final = frozenset(
    {
        "$binary",
        "$code",
        "$date",
        "$maxKey",
        "$minKey",
        "$numberDecimal",
        "$numberDouble",
        "$numberInt",
        "$numberLong",
        "$oid",
        "$regularExpression",
        "$timestamp",
        "$uuid",
    }
)

_OPTIONS: Final = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, uuid_representation=UuidRepresentation.UNSPECIFIED
)
"""Unspecified: a UUID becomes a Binary of subtype 4, which any client can send."""


def bson_values(written: Mapping[str, Any]) -> dict[str, Any]:
    """`written` with every Extended JSON value in it replaced by what it stands for.

    Raises:
        ValueError: A value that is none, or that BSON cannot hold.
    """
    converted: dict[str, Any] = _converted(written)
    try:
        bson.encode(converted)
    except (BSONError, OverflowError, ValueError) as error:
        raise ValueError(f"BSON cannot hold this: {error}") from None
    return converted


def _converted(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = {key: _converted(item) for key, item in value.items()}
        return _unwrapped(items) if len(items) == 1 and next(iter(items)) in _WRAPPERS else items
    if isinstance(value, list | tuple):
        return [_converted(item) for item in value]
    return value


def _unwrapped(value: dict[str, Any]) -> Any:
    try:
        return json_util.object_hook(value, _OPTIONS)
    except (BSONError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise ValueError(f"not a value of Extended JSON: {next(iter(value))}") from None
