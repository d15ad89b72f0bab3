"""Every version of a subscription's state document, told by the server: what any daemon wrote, and when."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pymongo.collection import Collection

from tests.e2e.oracle import start_watching


@dataclass(frozen=True)
class Version:
    """The document as one write left it.

    Args:
        owner: Who holds the lease; None once it was given back.
        epoch: The fencing number.
        positions: The stored token of each route.
        written_at: When it was written, on the server's clock.
        lease_until: When the lease runs out, on the server's clock; None once it was given back.
    """

    owner: str | None
    epoch: int
    positions: Mapping[str, str]
    written_at: datetime
    lease_until: datetime | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read a state document."""
        return cls(
            document["owner"],
            document["epoch"],
            {name: route["token"] for name, route in document["routes"].items()},
            document["updated_at"],
            document["lease_until"],
        )


class StateHistory:
    """Has the server keep what every write makes of the documents; made before any daemon starts.

    Args:
        collection: Where the state documents will be.
    """

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._collection = collection
        images = {"changeStreamPreAndPostImages": {"enabled": True}}
        collection.database.command({"create": collection.name, **images})
        self._beginning = start_watching(collection)

    def versions(self, subscription: str) -> list[Version]:
        """All of them until now, in the order of the writes."""
        mark = f"until now {uuid.uuid4().hex}"
        self._collection.insert_one({"_id": mark})
        self._collection.delete_one({"_id": mark})
        versions = []
        with self._collection.watch(
            full_document="required", resume_after=self._beginning, batch_size=1000
        ) as stream:
            for change in stream:
                changed = change["documentKey"]["_id"]
                if changed == mark:
                    break
                if changed == subscription:
                    versions.append(Version.of(change["fullDocument"]))
        return versions
