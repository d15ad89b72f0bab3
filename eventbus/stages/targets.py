"""Where a stage puts what it has made: a field of the document, or a name of the event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from eventbus.encoding.projection import within_document
from eventbus.expressions.view import NAMES
from eventbus.sdk import Event, View
from eventbus.stages.each import StageError

__all__ = ["FieldPath", "NewName", "Target", "apart", "names_set", "put", "set_in"]

_NAME: Final = re.compile(r"[a-z_][A-Za-z0-9_]*")
_DOCUMENT: Final = "document."


def _checked(text: str) -> str:
    if text.startswith(_DOCUMENT):
        names = text.split(".")[1:]
        if not all(names) or any(name.startswith("$") or "\0" in name for name in names):
            raise ValueError("expected a field such as document.total")
        if names[0] == "_id":
            raise ValueError("_id names the document: it stays as it is")
        return text
    if not _NAME.fullmatch(text):
        raise ValueError("expected a field such as document.total, or a name of letters, digits and _")
    if text in NAMES:
        raise ValueError(
            f"every event has {text} of its own: choose another name, or a field such as document.x"
        )
    return text


Target = Annotated[
    str,
    AfterValidator(_checked),
    Field(json_schema_extra={"pattern": r"^(document\.[^$]+|[a-z_][A-Za-z0-9_]*)$"}),
]
"""``document.total`` is a field of the document; ``urgency`` is a name that conditions know from there on."""


def _checked_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("expected a name of letters, digits and _, the first a small letter or _")
    if text in NAMES:
        raise ValueError(f"every event has {text} of its own: choose another name")
    return text


NewName = Annotated[
    str, AfterValidator(_checked_name), Field(json_schema_extra={"pattern": r"^[a-z_][A-Za-z0-9_]*$"})
]
"""A name that conditions know from the stage on."""


def _checked_path(text: str) -> str:
    names = text.split(".")
    if not all(names) or any(name.startswith("$") or "\0" in name for name in names):
        raise ValueError("expected a path of a field, such as payment.status")
    path = within_document(text)
    if path.split(".")[0] == "_id":
        raise ValueError("_id names the document: it stays as it is")
    return path


FieldPath = Annotated[str, AfterValidator(_checked_path), Field(json_schema_extra={"minLength": 1})]
"""A path within the documents of an event, such as ``payment.status``."""


def apart(paths: Iterable[str]) -> None:
    """Nothing may be two things at once.

    Raises:
        ValueError: A path is there twice, or lies within another one.
    """
    seen: set[str] = set()
    for path in sorted(paths):
        if path in seen:
            raise ValueError(f"{path} is there twice")
        names = path.split(".")
        for above in (".".join(names[:length]) for length in range(1, len(names))):
            if above in seen:
                raise ValueError(f"{path} lies within {above}, which is there as well")
        seen.add(path)


def names_set(targets: Iterable[str]) -> Iterator[str]:
    """Those of the targets that are names of the event."""
    return (target for target in targets if not target.startswith(_DOCUMENT))


def put(view: View, values: Mapping[str, Any]) -> Event:
    """The event with values at targets. An event without a document has no fields, and gets none.

    Raises:
        StageError: What a field would be in is no object.
        EncodingError: The document cannot be read.
    """
    parts: dict[str, Any] = {}
    fields = {target: value for target, value in values.items() if target.startswith(_DOCUMENT)}
    document = view.section("document") if fields else None
    if document is not None:
        for target, value in fields.items():
            document = set_in(document, target.split(".")[1:], value, target)
        parts["document"] = document
    named = {target: value for target, value in values.items() if target not in fields}
    if named:
        parts["attributes"] = {**(view.event.attributes or {}), **named}
    return view.event.revised(**parts) if parts else view.event


def set_in(document: Mapping[str, Any], names: list[str], value: Any, path: str) -> dict[str, Any]:
    """A copy of a document with a value at a path; the objects on the way are made if need be.

    Raises:
        StageError: Something on the way is there and no object.
    """
    first, *rest = names
    if not rest:
        return {**document, first: value}
    inner = document.get(first)
    if inner is None:
        inner = {}
    if not isinstance(inner, Mapping):
        raise StageError(f"{path}: {first} is no object that could hold it")
    return {**document, first: set_in(inner, rest, value, path)}
