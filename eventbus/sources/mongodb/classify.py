"""Names that the server gives a change by the first of several cases, and how they travel with it.

They travel in a field of the change beside the server's own. The values are those that users wrote, so there
are few of them: a text of BSON that was seen before is not decoded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from eventbus.encoding.json import decoded
from eventbus.expressions.view import NAMES
from eventbus.sdk import Options
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.sources.mongodb.paths import IS_UPDATE, ChangedPath, Expression, touched

__all__ = ["CLASSIFIED", "Case", "Classification", "Classified", "ClassifiedName", "classify_stage"]

CLASSIFIED: Final = "classified"
"""The field of a change in which the names travel."""

_NAME: Final = re.compile(r"[a-z_][A-Za-z0-9_]*")
_MOST: Final = 1000


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("expected a name of letters, digits and _, which begins with a small letter")
    if text in NAMES:
        raise ValueError(f"every event has {text} of its own: choose another name")
    return text


def _expression(written: dict[str, Any]) -> dict[str, Any]:
    if len(written) != 1 or not next(iter(written)).startswith("$"):
        raise ValueError(
            "expected an aggregation expression with one operator, such as {$eq: [$operationType, delete]}"
        )
    bson_values(written)
    return written


def _value(written: Any) -> Any:
    bson_values({"value": written})
    return written


def _listed(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


ClassifiedName = Annotated[str, AfterValidator(_name)]
"""A name that conditions know."""


class Case(Options):
    """One case."""

    when: Annotated[dict[str, Any], AfterValidator(_expression)] | None = None
    """An aggregation expression over the change, such as ``{$gt: [$fullDocument.total, 1000]}``."""
    changed: (
        Annotated[
            list[ChangedPath],
            Field(min_length=1),
            BeforeValidator(_listed, json_schema_input_type=str | list[str]),
        ]
        | None
    ) = None
    """A path, or several, of which an update must have touched one; with `when`, both must hold."""
    then: Annotated[Any, AfterValidator(_value)]
    """The value, where the case holds and none before it did."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.when is None and self.changed is None:
            raise ValueError("a case needs when, an expression, or changed, a path")
        return self


class Classification(Options):
    """The cases of one name."""

    cases: Annotated[list[Case], Field(min_length=1)]
    """Looked at in their order."""
    otherwise: Annotated[Any, AfterValidator(_value)] = None
    """The value where none holds."""


def classify_stage(classify: Mapping[str, Classification]) -> dict[str, Any]:
    """The stage that gives a change its names."""
    names = {name: _switch(classification) for name, classification in classify.items()}
    return {"$set": {CLASSIFIED: names}}


def _switch(classification: Classification) -> Expression:
    branches = [{"case": _asked(case), "then": _literal(case.then)} for case in classification.cases]
    return {"$switch": {"branches": branches, "default": _literal(classification.otherwise)}}


def _asked(case: Case) -> Expression:
    asked = [] if case.when is None else [bson_values(case.when)]
    if case.changed is not None:
        asked = [IS_UPDATE, touched(case.changed), *asked]
    return asked[0] if len(asked) == 1 else {"$and": asked}


def _literal(value: Any) -> Expression:
    return {"$literal": bson_values({"value": value})["value"]}


class Classified(dict[bytes, Mapping[str, Any]]):
    """The names of changes by the raw document in which they came."""

    def __missing__(self, raw: bytes) -> Mapping[str, Any]:
        names = decoded(raw)
        if len(self) >= _MOST:  # stages of the user's own may put anything there
            self.clear()
        self[raw] = names
        return names
