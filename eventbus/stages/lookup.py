"""Brings what a collection has about the event: one query for a batch, and none for what is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias

import anyio
from cachetools import TTLCache
from pydantic import Field, model_validator

from eventbus.canonical import canonical_value
from eventbus.encoding.projection import only, tree_of
from eventbus.sdk import (
    ClusterTime,
    Duration,
    EncodingError,
    Event,
    Expression,
    ExpressionError,
    Filtered,
    Options,
    Parked,
    Slot,
    StageContext,
    View,
)
from eventbus.stages.each import StageError
from eventbus.stages.finding import Finder, Found
from eventbus.stages.targets import FieldPath, Target, names_set, put
from eventbus.telemetry import metrics

__all__ = ["Lookup", "LookupCache", "LookupOptions"]

_Where: TypeAlias = tuple[str, ClusterTime | None]
"""A database, and as of when; None for now."""
_Cache: TypeAlias = TTLCache[tuple[str, bytes], Mapping[str, Any]]


class LookupCache(Options):
    """How long what was found is taken for true."""

    ttl: Duration = Field(default=60.0, ge=0)
    """How long; 0 asks for every batch anew. What was not found is asked for anew in any case."""
    entries: int = Field(default=10_000, ge=1)
    """Of how many documents at most; the oldest are forgotten."""


class LookupOptions(Options):
    """What is looked up, and where it goes."""

    collection: Annotated[str, Field(min_length=1)]
    """Name of the collection, of the deployment whose changes are read."""
    database: Annotated[str, Field(min_length=1)] | None = None
    """Name of its database; by default that of the change."""
    key: Expression
    """What to look for, such as `document.customer_id`; of a list, all that are in it."""
    field: Annotated[str, Field(min_length=1)] = "_id"
    """In which field of the collection; it should have an index. Of several documents that with the least
    ``_id`` counts."""
    into: Target | None = None
    """Where the document goes: a field such as `document.customer`, or a name; of a list of keys, a list."""
    prefix: str | None = None
    """In place of `into`: the fields go into the document itself, their names with this before them."""
    fields: tuple[FieldPath, ...] = ()
    """Which fields to bring; by default all."""
    missing: Literal["skip", "park"] | None = None
    """What becomes of an event for which nothing is found: null for null there, or ``skip``, or ``park``."""
    as_of: Literal["now", "event"] = "now"
    """``event``: as the collection was when the change was committed, while the server still knows, and as it
    is now after that. It takes a query for each cluster time, and no cache."""
    cache: LookupCache = LookupCache()
    """How long what was found is taken for true."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if (self.into is None) == (self.prefix is None):
            raise ValueError("say where it goes: into, or prefix")
        return self


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one event looks for.

    Args:
        place: Its place in the batch.
        view: The event.
        where: Where to look, and as of when.
        keys: What for, in canonical form and as it is; empty if it has no key.
        is_list: Whether its key is a list.
    """

    place: int
    view: View
    where: _Where
    keys: Mapping[bytes, Any]
    is_list: bool


class Lookup:
    """Looks up documents.

    Args:
        options: What, and where it goes.
        context: What every stage is given.
    """

    name = "lookup"
    waits = True
    Options = LookupOptions

    def __init__(self, options: LookupOptions, context: StageContext) -> None:
        self._options = options
        self._context = context
        self._finder = Finder(context)
        self._tree = tree_of(options.fields) if options.fields else None
        self._cache: _Cache | None = None

    @staticmethod
    def sets(options: LookupOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.into] if options.into is not None else [])

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        if self._cache is None and self._options.as_of == "now":
            self._cache = _cache_of(self._options.cache)
        done = list(slots)
        wishes: list[_Wish] = []
        for place, slot in enumerate(slots):
            if isinstance(slot, Event):
                wish = self._wish(place, slot)
                if isinstance(wish, _Wish):
                    wishes.append(wish)
                else:
                    done[place] = wish
        found = await self._found(wishes)
        for wish in wishes:
            done[wish.place] = self._answered(wish, found[wish.where])
        return done

    def _wish(self, place: int, event: Event) -> _Wish | Parked:
        view = self._context.views.of(event)
        try:
            value = self._options.key.value(view)
            view.section("document")
        except (ExpressionError, EncodingError) as error:
            return Parked(event, f"key: {error}")
        at = event.cluster_time if self._options.as_of == "event" else None
        is_list = isinstance(value, list)
        values = value if is_list else [value]
        keys = {canonical_value(one): one for one in values if one is not None}
        return _Wish(place, view, (self._options.database or event.database, at), keys, is_list)

    async def _found(self, wishes: Sequence[_Wish]) -> Mapping[_Where, Found]:
        """What there is, by where it was looked for; asked for in one query each."""
        wanted: dict[_Where, dict[bytes, Any]] = {}
        for wish in wishes:
            wanted.setdefault(wish.where, {}).update(wish.keys)
        found: dict[_Where, Found] = {}
        for where, keys in wanted.items():
            known = self._known(where[0], keys)
            unknown = [value for key, value in keys.items() if key not in known]
            fetched = await self._fetched(where, unknown) if unknown else {}
            fetched = {key: document for key, document in fetched.items() if key in keys}
            if self._cache is not None:
                self._cache.update({(where[0], key): document for key, document in fetched.items()})
            found[where] = {**known, **fetched}
            metrics.looked_up(
                self._context.subscription,
                self._context.label,
                cached=len(known),
                found=len(fetched),
                missing=len(unknown) - len(fetched),
            )
        return found

    def _known(self, database: str, keys: Mapping[bytes, Any]) -> dict[bytes, Mapping[str, Any]]:
        if self._cache is None:
            return {}
        cached = ((key, self._cache.get((database, key))) for key in keys)
        return {key: document for key, document in cached if document is not None}

    async def _fetched(self, where: _Where, values: Sequence[Any]) -> Found:
        database, at = where
        options = self._options
        return await self._finder.found(
            database, options.collection, options.field, values, fields=options.fields, at=at
        )

    def _answered(self, wish: _Wish, found: Found) -> Slot:
        event = wish.view.event
        documents = [self._chosen(found[key]) for key in wish.keys if key in found]
        if not documents:
            match self._options.missing:
                case "skip":
                    return Filtered(event)
                case "park":
                    what = "nothing is found" if wish.keys else "the event has no key"
                    return Parked(event, f"key: {what} in {self._options.collection}")
        try:
            one = documents[0] if documents else None
            if self._options.into is not None:
                return put(wish.view, {self._options.into: documents if wish.is_list else one})
            if wish.is_list:
                return Parked(event, "key: a list of documents goes into a field: say into, not prefix")
            return put(wish.view, self._prefixed(one or {}))
        except (StageError, EncodingError) as error:
            return Parked(event, str(error))

    def _chosen(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return document if self._tree is None else only(document, self._tree)

    def _prefixed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The fields by where they go; those that were named and are not there are null."""
        prefix = f"document.{self._options.prefix}"
        values = {f"{prefix}{path.partition('.')[0]}": None for path in self._options.fields}
        values |= {f"{prefix}{name}": value for name, value in document.items() if name != "_id"}
        return values


def _cache_of(options: LookupCache) -> _Cache | None:
    return TTLCache(options.entries, options.ttl, timer=anyio.current_time) if options.ttl > 0 else None
