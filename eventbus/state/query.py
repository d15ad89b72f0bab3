"""Reads queries over dead letters: the documented subset of MongoDB's query language.

Comparison, ``$in``, ``$nin``, ``$and``, ``$or``, ``$nor``, ``$not``, ``$exists`` and ``$regex`` over the
named fields of the row; values in relaxed Extended JSON. Everything else is refused with its place, since a
query that silently selects something else would replay or discard the wrong events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from eventbus.errors import ConfigurationError
from eventbus.state.pattern import Pattern
from eventbus.state.query_tree import (
    DOCUMENT_KEY,
    FIELDS,
    All,
    Compare,
    Exists,
    Field,
    Matches,
    Node,
    Not,
    OneOf,
    Some,
    field_named,
)
from eventbus.state.query_values import decoded
from eventbus.suggestions import did_you_mean, listed

__all__ = ["OPERATORS", "parse"]

_MAX_DEPTH: Final = 20
_MAX_VALUES: Final = 10_000
_ORDERINGS: Final = frozenset(["$gt", "$gte", "$lt", "$lte"])
_NEGATIONS: Final = frozenset(["$ne", "$nin", "$not"])


def parse(match: Mapping[str, Any]) -> Node:
    """The query that a document describes; an empty one selects everything.

    Raises:
        ConfigurationError: It is no query of the subset; the text says where, beginning with ``match``.
    """
    return _document(match, "match", 0)


def _document(raw: Any, place: str, depth: int) -> Node:
    if not isinstance(raw, Mapping):
        raise _refusal(place, "a query is a document, such as {kind: timeout}")
    if depth > _MAX_DEPTH:
        raise _refusal(place, "the query is nested too deeply")
    parts = [_entry(name, value, place, depth) for name, value in raw.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _entry(name: str, value: Any, place: str, depth: int) -> Node:
    here = f"{place}.{name}"
    combine = _COMBINATIONS.get(name)
    if combine is not None:
        documents = enumerate(_list(value, here, least=1))
        return combine(tuple(_document(part, f"{here}[{index}]", depth + 1) for index, part in documents))
    if name.startswith("$"):
        raise _refusal(here, f"not supported here{did_you_mean(name, _COMBINATIONS)}")
    return _condition(name, _field(name, here), value, here, depth)


def _field(name: str, place: str) -> Field:
    field = field_named(name)
    steps = name.split(".")
    if field is None:
        raise _refusal(place, f"no such field{did_you_mean(name, FIELDS)}; there are {_KNOWN}")
    if not all(steps) or any(step.startswith("$") or "\0" in step for step in steps):
        raise _refusal(place, "no such path can be in a document key")
    return field


def _condition(name: str, field: Field, raw: Any, place: str, depth: int) -> Node:
    """What is said about one field: a value that it equals, or operators."""
    if not _has_operators(raw):
        return _compared(_Saying(name, field, "$eq", raw, {}, place, depth))
    if depth > _MAX_DEPTH:
        raise _refusal(place, "the query is nested too deeply")
    if "$options" in raw and "$regex" not in raw:
        raise _refusal(f"{place}.$options", "there is no $regex beside it")
    sayings = [
        _Saying(name, field, operator, operand, raw, f"{place}.{operator}", depth)
        for operator, operand in raw.items()
        if operator != "$options"
    ]
    parts = [_operator(saying) for saying in sayings]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _has_operators(raw: Any) -> bool:
    """Extended JSON is written with dollars, too; nobody mixes them with operators."""
    if not isinstance(raw, Mapping) or not raw:
        return False
    return not any(name in _EXTENDED_JSON for name in raw)


class _Saying(NamedTuple):
    """One operator, applied to one field."""

    name: str
    field: Field
    operator: str
    operand: Any
    beside: Mapping[str, Any]
    place: str
    depth: int


def _operator(saying: _Saying) -> Node:
    read = _READERS.get(saying.operator)
    if read is None:
        known = f"{did_you_mean(saying.operator, _OF_FIELDS)}; there are {listed(_OF_FIELDS)}"
        raise _refusal(saying.place, f"no such operator{known}")
    node = read(saying)
    return Not(node) if saying.operator in _NEGATIONS else node


def _compared(saying: _Saying) -> Node:
    value = _value(saying.field, saying.operand, saying.place, ordered=saying.operator in _ORDERINGS)
    return Compare(saying.name, saying.operator if saying.operator in _ORDERINGS else "$eq", value)


def _one_of(saying: _Saying) -> Node:
    values = [
        _value(saying.field, value, f"{saying.place}[{index}]", ordered=False)
        for index, value in enumerate(_list(saying.operand, saying.place, least=0))
    ]
    return OneOf(saying.name, tuple(values))


def _existing(saying: _Saying) -> Node:
    if not isinstance(saying.operand, bool):
        raise _refusal(saying.place, "true or false is expected")
    return Exists(saying.name) if saying.operand else Not(Exists(saying.name))


def _matching(saying: _Saying) -> Node:
    source, options = saying.operand, saying.beside.get("$options", "")
    if not isinstance(source, str) or not isinstance(options, str):
        raise _refusal(saying.place, "a pattern and its options are texts")
    try:
        return Matches(saying.name, Pattern(source, options))
    except ValueError as error:
        raise _refusal(saying.place, str(error)) from None


def _otherwise(saying: _Saying) -> Node:
    if not _has_operators(saying.operand):
        raise _refusal(saying.place, "operators are expected, such as {$regex: ...}")
    return _condition(saying.name, saying.field, saying.operand, saying.place, saying.depth + 1)


def _value(field: Field, raw: Any, place: str, *, ordered: bool) -> Any:
    try:
        value = decoded(raw, field.kind)
    except ValueError as error:
        raise _refusal(place, str(error)) from None
    if value is None and (ordered or not field.nullable):
        raise _refusal(place, "null has no order" if ordered else "this field is never null")
    return value


def _none_of(parts: tuple[Node, ...]) -> Node:
    return Not(Some(parts))


def _list(raw: Any, place: str, *, least: int) -> Sequence[Any]:
    if not isinstance(raw, Sequence) or isinstance(raw, str | bytes) or len(raw) < least:
        raise _refusal(place, "a list with something in it is expected" if least else "a list is expected")
    if len(raw) > _MAX_VALUES:
        raise _refusal(place, f"a list holds at most {_MAX_VALUES} values")
    return raw


def _refusal(place: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{place}: {why}")


_COMBINATIONS: Final[Mapping[str, Callable[[tuple[Node, ...]], Node]]] = {
    "$and": All,
    "$or": Some,
    "$nor": _none_of,
}
_READERS: Final[Mapping[str, Callable[[_Saying], Node]]] = {
    **dict.fromkeys(("$eq", "$ne", *_ORDERINGS), _compared),
    **dict.fromkeys(("$in", "$nin"), _one_of),
    "$exists": _existing,
    "$regex": _matching,
    "$not": _otherwise,
}
_OF_FIELDS: Final = (*_READERS, "$options")
OPERATORS: Final = (*_OF_FIELDS, *_COMBINATIONS)
"""All that there are."""
_KNOWN: Final = f"{listed(FIELDS)}, {DOCUMENT_KEY}<path>"
_EXTENDED_JSON: Final = frozenset(
    [
        *("$oid", "$date", "$timestamp", "$uuid", "$binary", "$type", "$regularExpression", "$symbol"),
        *("$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$undefined", "$code", "$scope"),
        *("$minKey", "$maxKey", "$ref", "$id", "$db", "$dbPointer"),
    ]
)
