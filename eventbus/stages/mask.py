"""Hides values of fields, in a way for each, and records what it hid."""

from __future__ import annotations

import hmac
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from eventbus.canonical import canonical_json
from eventbus.encoding.projection import Tree, by_sides, named, part_of, tree_of
from eventbus.sdk import Event, Options, StageContext, View
from eventbus.stages.changes import has_sides
from eventbus.stages.each import EachEvent
from eventbus.stages.targets import FieldPath

__all__ = ["Constant", "Mask", "MaskOptions"]

RECORD: Final = "masked"
"""The name under which events tell which fields were hidden."""
_SALTED: Final = frozenset({"hash", "tokenise"})
_TOKEN_LENGTH: Final = 26


class Constant(Options):
    """Always the same."""

    constant: Any
    """The value instead."""


class MaskOptions(Options):
    """What is hidden, and how."""

    fields: Annotated[
        dict[FieldPath, Literal["null", "redact", "hash", "tokenise"] | Constant], Field(min_length=1)
    ]
    """By path, which reaches into arrays: `null`; `redact`, letters and digits become `*`, all but text null;
    `hash`, HMAC-SHA-256 in hexadecimal; `tokenise`, a short token, equal for equal values; or `constant`."""
    salt: SecretStr | None = None
    """The key of `hash` and `tokenise`, which need it: without it values could be guessed and tried."""

    @model_validator(mode="after")
    def _is_salted(self) -> Self:
        wanting = sorted(path for path, how in self.fields.items() if how in _SALTED)
        if wanting and (self.salt is None or not self.salt.get_secret_value()):
            raise ValueError(f"{wanting[0]} needs a salt")
        return self


class Mask(EachEvent):
    """Hides values. What is null or not there stays so.

    Args:
        options: What is hidden, and how.
        context: What every stage is given.
    """

    name = "mask"
    hides: ClassVar[bool] = True
    Options = MaskOptions

    def __init__(self, options: MaskOptions, context: StageContext) -> None:
        super().__init__(context)
        salt = options.salt.get_secret_value().encode() if options.salt is not None else b""
        self._hidden = [
            _Hidden(path, tree_of([path]), _way(how, salt)) for path, how in options.fields.items()
        ]

    @staticmethod
    def sets(options: MaskOptions) -> Iterator[str]:  # noqa: ARG004 - it is the same for all
        """The name under which its events tell what was hidden."""
        yield RECORD

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        sections = {name: view.section(name) for name in ("document", "before", "changed")}
        masked = dict(sections)
        touched: list[str] = []
        for hidden in self._hidden:
            for name, section in masked.items():
                if section is not None:
                    masked[name] = hidden.changed(section) if name == "changed" else hidden.within(section)
            if hidden.was_there():
                touched.append(hidden.path)
        if not touched:
            return view.event
        known = (view.event.attributes or {}).get(RECORD, ())
        attributes = {**(view.event.attributes or {}), RECORD: sorted({*known, *touched})}
        changed = {name: section for name, section in masked.items() if section is not sections[name]}
        return view.event.revised(**changed, attributes=attributes)


class _Hidden:
    """One field, and how it is hidden."""

    def __init__(self, path: str, tree: Tree, way: Callable[[Any], Any]) -> None:
        self.path = path
        self._tree = tree
        self._way = way
        self._was_there = False

    def was_there(self) -> bool:
        """Whether anything was hidden since this was asked last."""
        was_there, self._was_there = self._was_there, False
        return was_there

    def within(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document with the field hidden."""
        masked: Mapping[str, Any] = self._in(document, self._tree)
        return masked

    def changed(self, changed: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an update set, by path: a path may end above, at or below the field."""
        return {path: self._at(path, value) for path, value in changed.items()}

    def _at(self, path: str, value: Any) -> Any:
        part = part_of(self._tree, path)
        if part is None:
            return value
        if has_sides(value) and not all(has_sides(value, name) for name in part):
            # an old and a new value, or fields that are called so: nobody can tell, so both are hidden
            value = {side: self._in(one, part) for side, one in value.items()}
        return by_sides(value, part, self._in)

    def _in(self, value: Any, tree: Tree) -> Any:
        if not tree:
            return self._hide(value)
        if isinstance(value, Mapping):
            return {name: self._named(name, one, tree) for name, one in value.items()}
        if isinstance(value, list):
            return [self._item(index, item, tree) for index, item in enumerate(value)]
        return value

    def _named(self, name: str, value: Any, tree: Tree) -> Any:
        part = named(tree, name)
        return value if part is None else self._in(value, part)

    def _item(self, index: int, item: Any, tree: Tree) -> Any:
        """An item of an array: paths reach it by the names in it, and by its place."""
        item = self._in(item, tree)
        place = str(index)
        return self._in(item, tree[place]) if place in tree else item

    def _hide(self, value: Any) -> Any:
        if value is None:
            return None
        self._was_there = True
        return self._way(value)


def _way(how: str | Constant, salt: bytes) -> Callable[[Any], Any]:
    match how:
        case Constant() as constant:
            return lambda _: constant.constant
        case "redact":
            return _redacted
        case "hash":
            return lambda value: _digest(value, salt).hex()
        case "tokenise":
            return lambda value: b32encode(_digest(value, salt)).decode().lower()[:_TOKEN_LENGTH]
        case _:
            return lambda _: None


def _redacted(value: Any) -> Any:
    if not isinstance(value, str):
        return None
    return "".join("*" if letter.isalnum() else letter for letter in value)


def _digest(value: Any, salt: bytes) -> bytes:
    return hmac.digest(salt, canonical_json(value), sha256)
