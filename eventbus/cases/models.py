"""What users write in a file of cases."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from eventbus.config.section import Section

__all__ = ["Case", "CaseFile", "Expectations", "ExpectedMessage", "ExpectedParked", "Given"]

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Document: TypeAlias = dict[str, Any]


class Given(Section):
    """One change, as the source would give it. Values may be Extended JSON, such as `{$oid: …}`."""

    operation: Text
    """Its kind: insert, update, replace, delete, read, or the server's name of another one."""
    database: Text | None = None
    """Where it was; by default the source's database."""
    collection: Text | None = None
    """Where it was; by default the source's collection, if it has one."""
    document_key: Document | None = None
    """Which document it concerns; by default the `_id` of document or before."""
    document: Document | None = None
    """The document after the change."""
    before: Document | None = None
    """The document before the change."""
    changed: Document | None = None
    """Of an update, new values by path."""
    removed: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Of an update, the paths that it removed."""
    details: Document | None = None
    """What else the source tells, such as `truncated_arrays`."""
    meta: Document | None = None
    """Names that are set before the pipeline."""
    cluster_time: Text | None = None
    """When it was committed, such as 2026-01-31T12:00:00Z; by default 2026 begins."""
    id: Text | None = None
    """The event's id; by default it derives from the change's place in the case."""


class ExpectedMessage(Section):
    """One message; what is not mentioned may be anything."""

    key: Any = None
    """The key, as text or as data."""
    body: Any = None
    """The content, as data; null for a tombstone."""
    headers: dict[str, Any] = Field(default_factory=dict)
    """Headers by name."""
    target: Text | None = None
    """Where it goes within the sink: a topic, a stream, a collection."""
    id: Text | None = None
    """The event's id."""
    exact: bool | None = None
    """Whether what is mentioned must be all there is; by default as the case says."""


class ExpectedParked(Section):
    """One dead letter; what is not mentioned may be anything."""

    route: Text | None = None
    """On which route; none for one that the subscription's pipeline parks on every route."""
    reason: Text | None = None
    """Why; a part of the text is enough."""
    kind: Text | None = None
    """What kind of failure it is, such as stage or encoding."""
    event: Annotated[int, Field(ge=1)] | None = None
    """Which of the given changes it is; the first is 1."""


class Expectations(Section):
    """What must become of the changes: messages by route, and what else happens."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[ExpectedMessage]]

    parked: list[ExpectedParked] = Field(default_factory=list)
    """The dead letters, in the order of the changes and of the routes."""
    dropped: Annotated[int, Field(ge=0)] | None = None
    """How many changes the subscription's pipeline drops; by default any number."""
    stopped: Text | None = None
    """Why the subscription stops, if it does; a part of the text is enough."""

    @property
    def messages(self) -> dict[str, list[ExpectedMessage]]:
        """By name of the route."""
        return self.__pydantic_extra__ or {}


class Case(Section):
    """Some changes, and what must become of them."""

    name: Text
    """What is shown, in a sentence."""
    given: Annotated[list[Given], Field(min_length=1)]
    """The changes, in their order."""
    expect: Expectations
    """What must become of them. A route that is not mentioned must have no message."""
    only: list[Text] | None = None
    """Names of the routes to look at; by default all."""
    exact: bool = False
    """Whether what is mentioned of messages must be all there is."""


class CaseFile(Section):
    """Cases of one subscription, for `eventbus test`."""

    config: Text | Annotated[list[Text], Field(min_length=1)]
    """The configuration: a file, or several that are read as one; relative to this file."""
    env: dict[str, str] = Field(default_factory=dict)
    """What stands for variables in the configuration. The environment itself is not looked at."""
    subscription: Text
    """Name of the subscription."""
    collections: dict[str, list[Document]] = Field(default_factory=dict)
    """What stages find that look something up: documents by collection."""
    cases: Annotated[list[Case], Field(min_length=1)]
    """The cases."""
