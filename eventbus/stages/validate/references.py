"""Rules about a document of another collection: that it is there, and how the event compares with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from eventbus.canonical import canonical_value
from eventbus.expressions.view import value_at
from eventbus.sdk import View
from eventbus.stages.finding import Finder, Found
from eventbus.stages.validate.comparing import Incomparable, compare
from eventbus.stages.validate.options import Comparison, ReferenceRule

__all__ = ["References", "Wish", "failure_of"]

_ID: Final = "_id"
_Place: TypeAlias = tuple[str, str, str]
"""A database, a collection and a field."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one event refers to by one rule.

    Args:
        options: The rule.
        place: Where it is looked for.
        keys: By what, in canonical form and as it is; empty if the event refers to nothing.
    """

    options: ReferenceRule
    place: _Place
    keys: Mapping[bytes, Any]


class References:
    """Finds what events refer to: one query for a batch, however many rules look into a collection.

    Args:
        rules: The rules.
        finder: Asks for documents.
    """

    def __init__(self, rules: Sequence[ReferenceRule], finder: Finder) -> None:
        self._finder = finder
        self._fields: dict[tuple[str, str], list[str]] = defaultdict(lambda: [_ID])
        for options in rules:
            self._fields[options.collection, options.field] += [
                comparison.theirs for comparison in options.compare
            ]

    def wish(self, options: ReferenceRule, view: View) -> Wish:
        """What an event refers to.

        Raises:
            ExpressionError: Its key has no value.
        """
        value = options.key.value(view)
        values = value if isinstance(value, list) else [value]
        keys = {canonical_value(one): one for one in values if one is not None}
        database = options.database or view.event.database
        return Wish(options, (database, options.collection, options.field), keys)

    async def found(self, wishes: Iterable[Wish]) -> Mapping[_Place, Found]:
        """What there is, by where it was looked for.

        Raises:
            Unreachable: It cannot be asked for now.
        """
        wanted: dict[_Place, dict[bytes, Any]] = defaultdict(dict)
        for wish in wishes:
            wanted[wish.place].update(wish.keys)
        found: dict[_Place, Found] = {}
        for place, keys in wanted.items():
            database, collection, field = place
            fields = self._fields[collection, field]
            values = list(keys.values())
            found[place] = (
                await self._finder.found(database, collection, field, values, fields=fields) if values else {}
            )
        return found


def failure_of(wish: Wish, view: View, found: Mapping[_Place, Found]) -> str | None:
    """Why an event does not keep a rule; None if it does.

    Args:
        wish: What it refers to.
        view: The event.
        found: What there is.

    Raises:
        ExpressionError: A value of the event cannot be computed.
    """
    if not wish.keys:
        return f"the event has no key in {wish.options.collection}"
    for key in wish.keys:
        document = found[wish.place].get(key)
        if document is None:
            return f"nothing is found in {wish.options.collection}"
        for comparison in wish.options.compare:
            wrong = _wrong(comparison, view, document, wish.options.collection)
            if wrong is not None:
                return wrong
    return None


def _wrong(comparison: Comparison, view: View, document: Mapping[str, Any], collection: str) -> str | None:
    ours = comparison.ours.value(view)
    theirs = value_at(document, tuple(comparison.theirs.split(".")))
    what = f"{' '.join(comparison.ours.text.split())} {comparison.op} {collection}.{comparison.theirs}"
    if ours is None or theirs is None:
        return f"{what}: {'the first' if ours is None else 'the second'} is missing"
    try:
        return None if compare(ours, comparison.op, theirs) else f"{what} does not hold"
    except Incomparable as error:
        return f"{what}: cannot compare: {error}"
