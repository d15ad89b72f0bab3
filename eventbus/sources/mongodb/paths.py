"""Expressions of MQL that tell which of some paths an update touched.

The server names what an update changed by paths: keys of ``updatedFields`` such as ``items.0.qty``, entries
of ``removedFields``, the ``field`` of ``truncatedArrays``. They are texts with dots in them and no nested
documents, so they are taken apart and compared name by name. No regular expression is used: the server fails
on names that are no UTF-8, which it stores, and such a failure would end the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, Field

from eventbus.encoding.projection import within_document

__all__ = ["IS_UPDATE", "ChangedPath", "Expression", "any_touches", "has_number", "names_of", "touched"]

Expression: TypeAlias = dict[str, Any]
"""An aggregation expression."""

IS_UPDATE: Final[Expression] = {"$eq": ["$operationType", "update"]}

_AFTER_NINE: Final = ":"
"""The character behind the digits: texts from ``0`` up to it begin with a digit."""


def _checked(text: str) -> str:
    names = text.split(".")
    if not all(names) or any(name.startswith("$") or "\0" in name for name in names):
        raise ValueError("expected a path of a field, such as payment.status")
    path = within_document(text)
    if path.split(".")[0] == "_id":
        raise ValueError("_id names the document: it never changes")
    return path


ChangedPath = Annotated[str, AfterValidator(_checked), Field(json_schema_extra={"minLength": 1})]
"""A path within a document that an update may touch, such as ``payment.status``."""


def has_number(path: str) -> bool:
    """Whether a path names a place in an array, or a field whose name is a number, below its first name."""
    return any(map(str.isdecimal, path.split(".")[1:]))


def touched(paths: Sequence[str]) -> Expression:
    """Whether an update changed any of the paths: what is at it, below it, or above it as a whole.

    A number in what changed may be a place in an array: where the path has a name, it reaches past it; where
    the path has a number, too, they must be the same.

    Args:
        paths: At least one.
    """
    changed = {"$concatArrays": [_updated(), _removed(), _truncated()]}
    return {
        "$anyElementTrue": [{"$map": {"input": changed, "as": "path", "in": any_touches("$$path", paths)}}]
    }


def any_touches(changed: str, paths: Sequence[str]) -> Expression:
    """Whether something that changed touches any of the paths.

    Args:
        changed: The expression that gives its path.
        paths: At least one.
    """
    written = sorted({path for path in paths if has_number(path)})
    reaching = sorted({path for path in paths if not has_number(path)})
    tests = [*map(_reaches, reaching), *map(_goes_along, written)]
    return names_of(changed, tests[0] if len(tests) == 1 else {"$or": tests})


def names_of(changed: str, then: Expression) -> Expression:
    """An expression in which ``$$parts`` are the parts of a path, and ``$$names`` those that are names.

    What could be a place in an array is no name, unless it comes first, where a document has no places.

    Args:
        changed: The expression that gives the path.
        then: What uses them.
    """
    names = {
        "$concatArrays": [
            {"$slice": ["$$parts", 1]},
            {
                "$filter": {
                    "input": {"$slice": ["$$parts", 1, {"$size": "$$parts"}]},
                    "as": "part",
                    "cond": {"$not": [_is_place("$$part")]},
                }
            },
        ]
    }
    inner = {"$let": {"vars": {"names": names}, "in": then}}
    return {"$let": {"vars": {"parts": {"$split": [changed, "."]}}, "in": inner}}


def _reaches(path: str) -> Expression:
    """Whether a path without numbers and ``$$names`` go along, up to the end of the shorter one."""
    names = path.split(".")
    beginnings = [names[:length] for length in range(1, len(names) + 1)]
    return {"$in": [{"$slice": ["$$names", len(names)]}, {"$literal": beginnings}]}


def _goes_along(path: str) -> Expression:
    """Whether any path and ``$$parts`` go along, up to the end of the shorter one.

    Part by part, the value is how many parts of the path were passed; null once the two have parted.
    """
    parts = path.split(".")
    here = {"$arrayElemAt": [{"$literal": parts}, "$$value"]}
    wants_name = {"$in": ["$$value", [place for place, part in enumerate(parts) if not part.isdecimal()]]}
    branches = [
        {"case": {"$in": ["$$value", [None, len(parts)]]}, "then": "$$value"},
        {"case": {"$eq": ["$$this", here]}, "then": {"$add": ["$$value", 1]}},
        {"case": {"$and": [{"$gt": ["$$value", 0]}, wants_name, _is_place("$$this")]}, "then": "$$value"},
    ]
    step = {"$switch": {"branches": branches, "default": None}}
    return {"$ne": [{"$reduce": {"input": "$$parts", "initialValue": 0, "in": step}}, None]}


def _is_place(part: str) -> Expression:
    number = {"$convert": {"input": part, "to": "long", "onError": None}}
    return {"$and": [{"$gte": [part, "0"]}, {"$lt": [part, _AFTER_NINE]}, {"$ne": [number, None]}]}


def _updated() -> Expression:
    fields = {"$objectToArray": {"$ifNull": ["$updateDescription.updatedFields", {}]}}
    return {"$map": {"input": fields, "as": "field", "in": "$$field.k"}}


def _removed() -> Expression:
    return {"$ifNull": ["$updateDescription.removedFields", []]}


def _truncated() -> Expression:
    return {"$ifNull": ["$updateDescription.truncatedArrays.field", []]}
