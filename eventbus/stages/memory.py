"""Collections that are written down: for tests of configurations, in place of MongoDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventbus.canonical import canonical_value
from eventbus.encoding.projection import only, tree_of
from eventbus.model import ClusterTime
from eventbus.stages.finding import values_at

__all__ = ["MemoryCollections"]


class MemoryCollections:
    """See `eventbus.sdk.Collections`. The documents are the same at all times, and in every database.

    Args:
        documents: By name of the collection.
    """

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self._documents = documents

    async def find(
        self,
        database: str,  # noqa: ARG002 - they are the same in every one
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,  # noqa: ARG002 - and at all times
    ) -> Sequence[Mapping[str, Any]] | None:
        """See `eventbus.sdk.Collections`."""
        wanted = {canonical_value(value) for value in values}
        path = field.split(".")
        found = [
            document
            for document in self._documents.get(collection, ())
            if any(canonical_value(value) in wanted for value in values_at(document, path))
        ]
        tree = tree_of(["_id", field, *fields])
        return [only(document, tree) for document in found] if fields else found

    async def has(self, database: str, collection: str) -> bool:  # noqa: ARG002 - as above
        """See `eventbus.sdk.Collections`."""
        return collection in self._documents
