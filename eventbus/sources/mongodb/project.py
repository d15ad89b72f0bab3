"""The stages by which the server keeps some fields of a change's documents, so that less is sent.

Documents are projected by ``$project``, which reaches into arrays. What an update changed is a map from
paths to values: paths at or below a kept field stay. A path above one was set as a whole, so its value is a
document or an array with more in it: for each such path the values are put aside, projected like documents,
and put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from eventbus.sources.mongodb.classify import CLASSIFIED
from eventbus.sources.mongodb.paths import (
    IS_UPDATE,
    ChangedPath,
    Expression,
    any_touches,
    has_number,
    names_of,
)

__all__ = ["KEPT_OF_CHANGES", "KeptPath", "project_stages"]

KEPT_OF_CHANGES: Final = (
    *("operationType", "ns", "to", "documentKey", "clusterTime", "wallTime"),
    *("lsid", "txnNumber", "operationDescription"),
)
"""What names a change and is read of it besides its documents."""

_DOCUMENTS: Final = ("fullDocument", "fullDocumentBeforeChange")
_UPDATE: Final = "updateDescription"
_DISAMBIGUATED: Final = "disambiguatedPaths"
_AS_SORTED_OUT: Final = ("removedFields", "truncatedArrays", _DISAMBIGUATED)


def _without_numbers(path: str) -> str:
    if has_number(path):
        raise ValueError("a number in a path might be a place in an array: keep what is around it")
    return path


KeptPath = Annotated[ChangedPath, AfterValidator(_without_numbers)]
"""A path that can be kept."""


def project_stages(paths: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The stages that leave nothing of documents but these paths, and their ``_id``.

    Args:
        paths: At least one.
    """
    kept = _outermost(paths)
    above = list(_above(kept).items())
    sorted_out = {
        "updatedFields": _updated(_is_within(kept)),
        **{_aside(number): _updated(_is_at(path)) for number, (path, _) in enumerate(above)},
        "removedFields": _filtered("$updateDescription.removedFields", any_touches("$$one", kept)),
        "truncatedArrays": _filtered("$updateDescription.truncatedArrays", any_touches("$$one.field", kept)),
        _DISAMBIGUATED: f"${_UPDATE}.{_DISAMBIGUATED}",
    }
    included = {
        **dict.fromkeys((*KEPT_OF_CHANGES, CLASSIFIED), 1),
        **{f"{document}.{path}": 1 for document in _DOCUMENTS for path in ("_id", *kept)},
        **{f"{_UPDATE}.{name}": 1 for name in (*_AS_SORTED_OUT, "updatedFields")},
    }
    for number, (_, below) in enumerate(above):
        included |= {
            f"{_UPDATE}.{_aside(number)}.{path}": 1 for path in ("k", *(f"v.{rest}" for rest in below))
        }
    parts = ["$updateDescription.updatedFields", *(_with_value(number) for number in range(len(above)))]
    put_back = {
        "updatedFields": {"$arrayToObject": [{"$concatArrays": parts}]},
        **{name: f"${_UPDATE}.{name}" for name in _AS_SORTED_OUT},
    }
    return _of_updates(sorted_out), {"$project": included}, _of_updates(put_back)


def _of_updates(description: Expression) -> dict[str, Any]:
    return {"$set": {_UPDATE: {"$cond": [IS_UPDATE, description, "$$REMOVE"]}}}


def _outermost(paths: Sequence[str]) -> list[str]:
    """The paths in their order, less those that lie below another one."""
    named = dict.fromkeys(paths)
    return [path for path in named if not any(above in named for above, _ in _splits(path))]


def _above(kept: Sequence[str]) -> dict[str, list[str]]:
    """By each path above a kept one, what is kept below it."""
    found: dict[str, list[str]] = {}
    for path in kept:
        for above, rest in _splits(path):
            found.setdefault(above, []).append(rest)
    return found


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """The paths above one, each with the rest."""
    names = path.split(".")
    for length in range(1, len(names)):
        yield ".".join(names[:length]), ".".join(names[length:])


def _aside(number: int) -> str:
    """The field of ``updateDescription`` in which what was set at a path above a kept one is put aside."""
    return f"above{number}"


def _updated(condition: Expression) -> Expression:
    """The pairs of ``updatedFields`` for which a condition holds of ``$$names``."""
    pairs = {"$objectToArray": {"$ifNull": ["$updateDescription.updatedFields", {}]}}
    return _filtered(pairs, names_of("$$one.k", condition))


def _filtered(of: Any, condition: Expression) -> Expression:
    """The items of an array for which a condition holds of ``$$one``."""
    return {"$filter": {"input": {"$ifNull": [of, []]}, "as": "one", "cond": condition}}


def _is_within(kept: Sequence[str]) -> Expression:
    tests = [_is_at(path, {"$slice": ["$$names", path.count(".") + 1]}) for path in kept]
    return {"$or": tests}


def _is_at(path: str, names: Any = "$$names") -> Expression:
    return {"$eq": [names, {"$literal": path.split(".")}]}


def _with_value(number: int) -> Expression:
    """What was put aside and is a document or an array; of other values nothing is kept."""
    there = {"$ne": [{"$type": "$$one.v"}, "missing"]}
    return _filtered(f"${_UPDATE}.{_aside(number)}", there)
