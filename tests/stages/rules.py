"""Rules as users write them, and what they say of a document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from eventbus.model import ClusterTime
from tests.stages.events import become, change

__all__ = ["FAILED", "HOURS", "RATE", "REFERENCE", "judged", "rule", "utc"]

FAILED: Final = "parked: stage validate (1): rule r: "
REFERENCE: Final[dict[str, Any]] = {
    "collection": "customers",
    "key": "document.customer",
    "compare": [{"ours": "document.total", "op": "lte", "theirs": "credit.limit"}],
}
HOURS: Final[dict[str, Any]] = {
    "zone": "Europe/Berlin",
    "from": "09:00",
    "to": "17:30",
    "time": "document.at",
}
RATE: Final[dict[str, Any]] = {"at_most": 2, "per": "10s", "by": "document.customer"}


def utc(text: str) -> datetime:
    """A moment of the zone that has no summer."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rule(**parts: Any) -> dict[str, Any]:
    """A stage with one rule."""
    return {"validate": [{"name": "r", **parts}]}


def judged(document: Any, *, when: ClusterTime | None = None, **parts: Any) -> str:
    """What a rule says of a document: why it is not kept, or nothing."""
    time = {"cluster_time": when} if when is not None else {}
    found = become(change(document=document, **time), rule(**parts))
    if not isinstance(found, str):
        return ""
    assert found.startswith(FAILED)
    return found.removeprefix(FAILED)
