"""Documents of a collection by the values of a field, for stages that look something up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import structlog

from eventbus.canonical import canonical_value
from eventbus.sdk import ClusterTime, StageContext

__all__ = ["Finder", "Found", "values_at"]

log = structlog.get_logger("eventbus.stage")

Found: TypeAlias = Mapping[bytes, Mapping[str, Any]]
"""Documents by what was looked for, in canonical form."""


class Finder:
    """Asks for documents, one query for all values.

    Args:
        context: What the stage is given.
    """

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._warned: set[str] = set()

    async def found(
        self,
        database: str,
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,
    ) -> Found:
        """The documents, by each value that their field has; of several that with the least ``_id``.

        Args:
            database: Name of the database.
            collection: Name of the collection. One that is not there has no documents; the log tells it once.
            field: Path of the field.
            values: What it may be; at least one.
            fields: Paths to bring; none for whole documents.
            at: As of which cluster time, if the server still has it; None for now.

        Raises:
            Unreachable: The server does not answer now, or refuses.
        """
        collections = self._context.collections
        if collections is None:
            raise AssertionError("nobody gave the stage anything to look into")
        documents = await collections.find(database, collection, field, values, fields=fields, at=at)
        if documents is None:
            documents = await collections.find(database, collection, field, values, fields=fields)
        if (
            not documents
            and collection not in self._warned
            and not await collections.has(database, collection)
        ):
            self._warned.add(collection)
            log.warning(
                "lookup_collection_missing",
                subscription=self._context.subscription,
                stage=self._context.label,
                collection=f"{database}.{collection}",
            )
        by_key: dict[bytes, Mapping[str, Any]] = {}
        for document in sorted(documents or (), key=lambda one: canonical_value(one.get("_id"))):
            for value in values_at(document, field.split(".")):
                by_key.setdefault(canonical_value(value), document)
        return by_key


def values_at(value: Any, names: Sequence[str]) -> Iterator[Any]:
    """All values at a path, as the server finds them: also within arrays."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, names)
        if names:
            return
    if not names:
        yield value
    elif isinstance(value, Mapping) and names[0] in value:
        yield from values_at(value[names[0]], names[1:])
