"""What users write about a MongoDB that is written to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from eventbus.config.mongodb_uri import checked_mongodb_uri
from eventbus.encoding.template import TemplateText
from eventbus.sdk import Duration, Options
from eventbus.sinks.mongodb.aggregation import AggregateOptions

__all__ = ["MongoSinkOptions"]


def _checked_path(path: str) -> str:
    if not all(path.split(".")) or "$" in path or path == "_id":
        raise ValueError(f"not a path of a field: {path!r}; for _id there is mode replace")
    return path


def _checked_collection(text: str) -> str:
    database, dot, name = text.partition(".")
    if not database or not dot or not name:
        raise ValueError("name a database and a collection, such as eventbus.positions")
    return text


class MongoSinkOptions(Options):
    """A MongoDB deployment and what to write there."""

    uri: Annotated[SecretStr, AfterValidator(checked_mongodb_uri)]
    """Its address, with user and password, and TLS where it needs them; any deployment, also the source's."""
    database: TemplateText | None = None
    """Name of the database; may hold {database}, {collection} and {operation}. By default the change's."""
    collection: TemplateText | None = None
    """Name of the collection, in the same way."""
    mode: Literal["insert", "replace", "upsert", "aggregate"]
    """``insert``: every event as a document; ``replace``: the documents as they are; ``upsert``: the fields
    of documents into those that agree in `fields`; ``aggregate``: sums and the like of them, by groups."""
    aggregate: AggregateOptions | None = None
    """``aggregate``: what is counted, and by what."""
    fields: Sequence[Annotated[str, AfterValidator(_checked_path)]] = ()
    """``upsert``: paths whose values say which document is meant. They need a unique index."""
    deletes: Literal["mirror", "ignore"] = "mirror"
    """``replace`` and ``upsert``: whether a deleted document is deleted there, too."""
    guard: bool = False
    """``replace`` and ``upsert``: keep the event's token with each document, so that no earlier event, late
    or replayed, changes it back. A deleted one leaves a marker for `marker_ttl`."""
    marker_ttl: Duration = Field(default=3600.0, ge=1)
    """How long the marker of a deleted document stays; in ``aggregate`` also how long an event is known."""
    positions: Annotated[str, AfterValidator(_checked_collection)] = "eventbus.positions"
    """Database and collection of the positions of routes that are delivered exactly once."""
    timeout: Duration = Field(default=10.0, gt=0)
    """Time for a call: to find the primary, to write, and to have it acknowledged by a majority."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.mode == "upsert") != bool(self.fields):
            raise ValueError("fields are needed by mode upsert, and by no other")
        strange = sorted(self.model_fields_set & {"deletes", "guard", "marker_ttl"})
        if self.mode == "insert" and strange:
            raise ValueError(f"mode insert has no {', '.join(strange)}: it changes nothing that is there")
        if (self.mode == "aggregate") != (self.aggregate is not None):
            raise ValueError("aggregate is needed by mode aggregate, and by no other")
        if self.mode == "aggregate" and self.collection is None:
            raise ValueError("mode aggregate needs the collection that gets the groups")
        unfit = sorted(self.model_fields_set & {"deletes", "guard", "positions"})
        if self.mode == "aggregate" and unfit:
            raise ValueError(f"mode aggregate has no {', '.join(unfit)}: it counts everything once by itself")
        if "marker_ttl" in self.model_fields_set and not self.guard and self.mode != "aggregate":
            raise ValueError("marker_ttl needs guard: true")
        return self
