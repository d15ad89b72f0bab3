"""What the steps between two versions of a schema do to a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from eventbus.sdk import Expression, ExpressionError, View
from eventbus.stages.changes import MISSING, value_in, without
from eventbus.stages.conversion import Kind, converted
from eventbus.stages.each import StageError
from eventbus.stages.fields import UnfitValue, reached
from eventbus.stages.targets import set_in

__all__ = ["added", "of_types", "transformed", "unnested"]


def added(document: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document with values at paths where nothing is.

    Raises:
        StageError: Something on the way is no object.
    """
    for path, value in values.items():
        names = path.split(".")
        if value_in(document, names) is MISSING:
            document = set_in(document, names, value, path)
    return document


def transformed(
    document: Mapping[str, Any], view: View, expressions: Mapping[str, Expression]
) -> Mapping[str, Any]:
    """A document with what expressions give, all of which see it as it was.

    Raises:
        StageError: One has no result, or something on the way is no object.
    """
    for path, expression in expressions.items():
        try:
            value = expression.value(view)
        except ExpressionError as error:
            raise StageError(f"{path}: {error}") from error
        document = set_in(document, path.split("."), value, path)
    return document


def of_types(document: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Mapping[str, Any]:
    """A document with fields of other types; of an array each item, but for arrays and objects.

    Raises:
        StageError: A value has no such form.
    """
    for path, kind in kinds.items():
        try:
            document = reached(document, path.split("."), partial(_of_type, kind=kind))
        except UnfitValue as error:
            raise StageError(f"{path}: {error}") from error
    return document


def _of_type(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if isinstance(value, list) and kind not in {"array", "object"}:
        return [_of_type(item, kind) for item in value]
    return converted(value, kind)


def unnested(
    document: Mapping[str, Any], paths: Sequence[str], *, keeps_old: bool = False
) -> Mapping[str, Any]:
    """A document with the fields of objects where the objects are.

    Raises:
        StageError: What is there is no object, or a field of that name is there already.
    """
    for path in paths:
        names = path.split(".")
        inner = value_in(document, names)
        if inner is MISSING or inner is None:
            continue
        if not isinstance(inner, Mapping):
            raise StageError(f"{path}: is no object whose fields could be taken out")
        if not keeps_old:
            document = without(document, names)
        for name, value in inner.items():
            there = [*names[:-1], name]
            if value_in(document, there) is not MISSING:
                raise StageError(f"{path}: {'.'.join(there)} is there already")
            document = set_in(document, there, value, path)
    return document
