"""Writes queries over dead letters as filters of MongoDB. Nothing here talks to a server."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, assert_never

from eventbus.state.query import parse
from eventbus.state.query_tree import (
    DOCUMENT_KEY,
    FIELDS,
    All,
    Compare,
    Exists,
    Matches,
    Node,
    Not,
    OneOf,
    Some,
    selects,
)
from eventbus.state.store import LetterQuery

__all__ = ["letter_filter"]

_Document: TypeAlias = dict[str, Any]

_STORED_AS: Final = {"id": "_id"}


def letter_filter(query: LetterQuery) -> _Document:
    """What a query selects.

    Raises:
        ConfigurationError: Its match is no query of the subset; the text says where.
    """
    found: _Document = {}
    if query.subscription is not None:
        found["subscription"] = query.subscription
    if query.routes:
        found["route"] = {"$in": list(query.routes)}
    if query.statuses:
        found["status"] = {"$in": [status.value for status in query.statuses]}
    if query.not_operation is not None:
        found["operation_id"] = {"$ne": query.not_operation}
    if query.forwarded is not None:
        found["forwarded"] = True if query.forwarded else {"$ne": True}
    match = _written(parse(query.match))
    return {**found, "$and": [match]} if match else found


def _written(node: Node) -> _Document:
    match node:
        case All(parts):
            return {"$and": [_written(part) for part in parts]} if parts else {}
        case Some(parts):
            return {"$or": [_written(part) for part in parts]}
        case Not(part):
            return {"$nor": [_written(part)]}
        case _:
            return _with_default(node, {_STORED_AS.get(node.field, node.field): _said(node)})


def _said(leaf: Compare | OneOf | Exists | Matches) -> _Document:
    match leaf:
        case Compare(_, operator, value):
            return {operator: value}
        case OneOf(_, values):
            return {"$in": list(values)}
        case Matches(_, pattern):
            return {"$regex": pattern.pcre}
        case Exists(field) if field in FIELDS and "." not in field:
            return {"$ne": None}
        case Exists():
            return {"$exists": True}
        case _:
            assert_never(leaf)


def _with_default(leaf: Compare | OneOf | Exists | Matches, condition: _Document) -> _Document:
    """Rows that an earlier version wrote lack some fields, and mean their defaults."""
    field = FIELDS.get(leaf.field)
    if leaf.field.startswith(DOCUMENT_KEY) or field is None or field.default is None:
        return condition
    if selects(leaf, {leaf.field: field.default}):
        return {"$or": [condition, {leaf.field: {"$exists": False}}]}
    return condition
