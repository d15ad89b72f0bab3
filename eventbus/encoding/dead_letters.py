"""What a copy of a dead letter has beside its event: why it is dead.

It stands in extension attributes of the envelope, for every sink, and in headers with the names that Kafka
Connect uses for its dead letters, for sinks that have headers. The envelope's id and data are the event's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from eventbus.model import DeadLetter, Failure

__all__ = ["copy_attributes", "copy_headers"]

_LONGEST_MESSAGE: Final = 1000
"""Characters of a reason in a header: HTTP servers take some 8 KiB of headers in all."""

_STAGES: Final = {Failure.STAGE: "TRANSFORMATION", Failure.ENCODING: "VALUE_CONVERTER"}
"""Kafka Connect's names of the steps in which a record can fail; the others fail when they are sent."""


def copy_attributes(letter: DeadLetter, letter_id: str, *, omitted: str = "") -> Mapping[str, str | int]:
    """Extension attributes of CloudEvents.

    Args:
        letter: What was parked.
        letter_id: Names it in the store.
        omitted: Why the copy lacks the documents of the event; empty if it has them.
    """
    found: dict[str, str | int] = {
        "deadletterid": letter_id,
        "deadletterroute": letter.route,
        "failurekind": letter.kind.value,
        "failurereason": _plain(letter.reason),
        "attempts": letter.attempts,
    }
    return found | {"dataomitted": _plain(omitted)} if omitted else found


def copy_headers(letter: DeadLetter, letter_id: str, *, sink: str) -> Sequence[tuple[str, bytes]]:
    """Headers.

    Args:
        letter: What was parked.
        letter_id: Names it in the store.
        sink: Name of the sink that did not take its event.
    """
    values = {
        "__connect.errors.topic": f"{letter.event.database}.{letter.event.collection}",
        "__connect.errors.connector.name": f"{letter.subscription}/{letter.route}",
        "__connect.errors.task.id": "0",
        "__connect.errors.stage": _STAGES.get(letter.kind, "TASK_PUT"),
        "__connect.errors.class.name": sink,
        "__connect.errors.exception.class.name": letter.kind.value,
        "__connect.errors.exception.message": _plain(letter.reason)[:_LONGEST_MESSAGE],
        "eventbus-dead-letter-id": letter_id,
        "eventbus-dead-letter-route": letter.route,
        "eventbus-dead-letter-attempts": str(letter.attempts),
    }
    return [(name, _plain(value).encode()) for name, value in values.items()]


def _plain(text: str) -> str:
    """One line without what neither a header nor the CloudEvents type String may hold."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
