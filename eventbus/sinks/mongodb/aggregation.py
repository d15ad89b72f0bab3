"""What events contribute to groups, and how contributions become updates. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context
from math import fsum, isfinite
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import bson
from bson import Decimal128
from bson.errors import BSONError
from pydantic import AfterValidator, Field, model_validator

from eventbus.canonical import canonical_value
from eventbus.expressions.values import kind_of
from eventbus.sdk import (
    Condition,
    EncodingError,
    Event,
    Expression,
    ExpressionError,
    Operation,
    Options,
    View,
)

__all__ = ["AggregateOptions", "Aggregation", "Change", "Contribution", "GroupChange", "Measure"]

INTERNAL: Final = "_eventbus"
"""The field of a group that holds what its values are made of."""
_NAME: Final = re.compile(r"[^.$\0]+")
_MOST_INT: Final = 2**63 - 1
_DECIMALS: Final = Context(prec=34)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in {"_id", INTERNAL}:
        raise ValueError("not a name of a field: choose one without dots and dollars")
    return name


FieldName: TypeAlias = Annotated[str, AfterValidator(_checked_name)]


class Measure(Options):
    """One value of each group: what is written is one of these."""

    sum: Expression | None = None
    """The sum of numbers; of whole numbers it is a whole number, with decimals among them exact."""
    avg: Expression | None = None
    """Their mean; null where there is none."""
    min: Expression | None = None
    """The least value, in MongoDB's order."""
    max: Expression | None = None
    """The greatest value."""
    add_to_set: Expression | None = None
    """Each value once."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len([name for name in self.model_fields_set if getattr(self, name) is not None]) != 1:
            raise ValueError("write one of sum, avg, min, max, add_to_set, or count alone")
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(name for name in self.model_fields_set if getattr(self, name) is not None)


class AggregateOptions(Options):
    """What is counted, and by what."""

    of: Literal["documents", "events"] = "documents"
    """``documents``: each counts as it is now, and no more once it is deleted; ``events``: each counts once,
    and for good."""
    by: dict[FieldName, Expression]
    """What makes a group: the fields of its ``_id``; an empty mapping makes one group of all."""
    values: Annotated[dict[FieldName, Literal["count"] | Measure], Field(min_length=1)]
    """What each group has: ``count``, or ``sum``, ``avg``, ``min``, ``max``, ``add_to_set`` of something."""
    where: Condition | None = None
    """What counts; by default all."""
    contributions: Annotated[str, Field(min_length=1)] | None = None
    """The collection, beside that of the groups, in which it is kept what counts already; by default its name
    with ``_contributions`` behind it."""

    @model_validator(mode="after")
    def _is_distinct(self) -> Self:
        both = sorted(self.by.keys() & self.values.keys())
        if both:
            raise ValueError(f"{both[0]} is both in by and in values")
        return self


@dataclass(frozen=True, slots=True)
class Contribution:
    """What something adds to one group.

    Args:
        group: The ``_id`` of the group.
        values: By name of the value; those that are null or missing add nothing.
    """

    group: Mapping[str, Any]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Contribution | None:
        """From what `Aggregation.body` made, or from what was kept of it."""
        if not document or document.get("group") is None:
            return None
        return cls(document["group"], document["values"])


class Aggregation:
    """What events contribute.

    Args:
        options: What is counted.
    """

    def __init__(self, options: AggregateOptions) -> None:
        self.of_documents = options.of == "documents"
        self.contributions = options.contributions
        """Name of the collection of contributions; None for that of the groups with a suffix."""
        self._by = options.by
        self._where = options.where
        self.kinds: Mapping[str, str] = {
            name: measure if isinstance(measure, str) else measure.kind
            for name, measure in options.values.items()
        }
        """What each value is: count, sum, avg, min, max or add_to_set."""
        self._measures = {
            name: _expression(measure)
            for name, measure in options.values.items()
            if isinstance(measure, Measure)
        }

    def concerns(self, event: Event) -> bool:
        """Whether there is anything to be done for an event."""
        return not event.is_own

    def identity(self, event: Event) -> str:
        """What counts once: a document by its key, or an event."""
        return event.key.decode() if self.of_documents else event.id

    def body(self, event: Event) -> bytes:
        """The contribution as BSON; an empty document for none.

        Raises:
            EncodingError: It cannot be told, or is no number where there must be one.
        """
        if event.document_key is None:
            raise EncodingError(f"{event.operation} concerns no single document: the groups may be stale")
        if self.of_documents and event.operation == Operation.DELETE:
            return bson.encode({})
        if self.of_documents and event.document is None:
            raise EncodingError("the update has no document: choose another full_document of the source")
        view = View(event)
        try:
            if self._where is not None and not self._where.holds(view):
                return bson.encode({})
            group = {name: _value(f"by.{name}", by, view) for name, by in self._by.items()}
            values = {
                name: _value(f"values.{name}", measure, view) for name, measure in self._measures.items()
            }
            kept = {name: value for name, value in values.items() if value is not None}
            for name, value in kept.items():
                _check(name, self.kinds[name], value)
            return bson.encode({"group": group, "values": kept})
        except ExpressionError as error:
            raise EncodingError(f"where: {error}") from error
        except (BSONError, OverflowError) as error:
            raise EncodingError(f"a value that no document can hold: {type(error).__name__}") from error


def _expression(measure: Measure) -> Expression:
    """What is summed, and so on."""
    each = (measure.sum, measure.avg, measure.min, measure.max, measure.add_to_set)
    return next(expression for expression in each if expression is not None)


def _value(name: str, expression: Expression, view: View) -> Any:
    try:
        return expression.value(view)
    except ExpressionError as error:
        raise EncodingError(f"{name}: {error}") from error


def _check(name: str, kind: str, value: Any) -> None:
    if kind not in {"sum", "avg"}:
        return
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal128):
        raise EncodingError(f"values.{name}: {kind} takes numbers, and this is {kind_of(value)}")
    if not isfinite(value.to_decimal() if isinstance(value, Decimal128) else value):
        raise EncodingError(f"values.{name}: {kind} takes finite numbers")


@dataclass(slots=True)
class _Total:
    """Numbers to be added, each kind by itself, so that each is exact as long as it can be."""

    whole: int = 0
    doubles: list[float] = field(default_factory=list)
    decimals: list[Decimal128] = field(default_factory=list)

    def add(self, value: Any, sign: int) -> None:
        match value:
            case float():
                self.doubles.append(sign * value)
            case Decimal128():
                exact = value.to_decimal()
                self.decimals.append(Decimal128(_DECIMALS.minus(exact) if sign < 0 else exact))
            case _:
                self.whole += sign * value

    def terms(self) -> list[Any]:
        """What the server is to add."""
        found: list[Any] = [*self.decimals]
        if self.doubles and (double := fsum(self.doubles)):
            found.append(double)
        if abs(self.whole) <= _MOST_INT:
            found += [bson.Int64(self.whole)] if self.whole else []
        else:
            found.append(Decimal128(_DECIMALS.create_decimal(self.whole)))
        return found


@dataclass(slots=True)
class GroupChange:
    """What becomes of one group by a batch.

    Args:
        group: Its ``_id``.
        kinds: What each of its values is.
    """

    group: Mapping[str, Any]
    kinds: Mapping[str, str]
    count: int = 0
    """How many more there are in it, or less."""
    lost: set[str] = field(default_factory=set)
    """Values of which something was taken away that cannot be subtracted: they must be found anew."""
    _totals: dict[str, _Total] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _added: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, values: Mapping[str, Any], sign: int, *, unless: Mapping[str, Any]) -> None:
        """Take a contribution in, or out.

        Args:
            values: Its values.
            sign: 1 or -1.
            unless: The values of the one that takes its place; equal ones change nothing.
        """
        self.count += sign
        for name, value in values.items():
            kind = self.kinds[name]
            if kind in {"sum", "avg"}:
                self._totals.setdefault(name, _Total()).add(value, sign)
                self._counts[name] = self._counts.get(name, 0) + sign
            elif canonical_value(unless.get(name)) != canonical_value(value):
                if sign < 0:
                    self.lost.add(name)
                else:
                    self._added.setdefault(name, []).append(value)

    def update(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The update of the group, as a pipeline.

        Args:
            found: The values of `lost`, found anew.
        """
        first: dict[str, Any] = {f"{INTERNAL}.count": _plus(f"{INTERNAL}.count", [self.count])}
        second: dict[str, Any] = {}
        for name, kind in self.kinds.items():
            match kind:
                case "count":
                    first[name] = _plus(name, [self.count])
                case "sum":
                    first[name] = _plus(name, self._terms(name))
                case "avg":
                    kept = f"{INTERNAL}.{name}"
                    first[f"{kept}.sum"] = _plus(f"{kept}.sum", self._terms(name))
                    first[f"{kept}.count"] = _plus(f"{kept}.count", [self._counts.get(name, 0)])
                    mean = {"$divide": [f"${kept}.sum", f"${kept}.count"]}
                    second[name] = {"$cond": [{"$gt": [f"${kept}.count", 0]}, mean, None]}
                case _ if name in self.lost:
                    first[name] = {"$literal": found[name]}
                case "add_to_set":
                    known = {"$ifNull": [f"${name}", []]}
                    first[name] = {"$setUnion": [known, {"$literal": self._added.get(name, [])}]}
                case _:
                    added = [{"$literal": value} for value in self._added.get(name, [])]
                    first[name] = {f"${kind}": [{"$ifNull": [f"${name}", None]}, *added]}
        return [{"$set": first}, *([{"$set": second}] if second else [])]

    def _terms(self, name: str) -> list[Any]:
        return self._totals[name].terms() if name in self._totals else []


def _plus(path: str, terms: Sequence[Any]) -> Any:
    return {"$add": [{"$ifNull": [f"${path}", 0]}, *terms]}


class Change:
    """What a batch does to groups, and to what is kept of each contribution.

    Args:
        aggregation: What is counted.
        known: What is kept already, by identity.
    """

    def __init__(self, aggregation: Aggregation, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._aggregation = aggregation
        self._known = dict(known)
        self.kept: dict[str, dict[str, Any]] = {}
        """What is to be kept from now on, by identity."""
        self._groups: dict[bytes, GroupChange] = {}

    @property
    def groups(self) -> Iterator[GroupChange]:
        """The groups that change."""
        return iter(self._groups.values())

    def take(self, event: Event, body: bytes) -> None:
        """One more event, in their order. One that counts already, or an earlier one, changes nothing."""
        identity = self._aggregation.identity(event)
        known = self._known.get(identity)
        if known is not None and (not self._aggregation.of_documents or known["token"] > event.token):
            return
        old, new = Contribution.of(known), Contribution.of(bson.decode(body))
        is_same_group = (
            old is not None and new is not None and canonical_value(old.group) == canonical_value(new.group)
        )
        if old is not None:
            self._group(old.group).add(
                old.values, -1, unless=new.values if new is not None and is_same_group else {}
            )
        if new is not None:
            self._group(new.group).add(
                new.values, 1, unless=old.values if old is not None and is_same_group else {}
            )
        entry: dict[str, Any] = {"token": event.token}
        if new is not None:
            entry |= {"group": new.group, "values": new.values}
        self._known[identity] = self.kept[identity] = entry

    def _group(self, group: Mapping[str, Any]) -> GroupChange:
        key = canonical_value(group)
        if key not in self._groups:
            self._groups[key] = GroupChange(group, self._aggregation.kinds)
        return self._groups[key]
