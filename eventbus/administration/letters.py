"""Which dead letters people mean, and what is to be said of them in numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eventbus.administration.letter_rows import event_json, letter_row, message_json
from eventbus.state.operations import OperationKind
from eventbus.state.store import LetterQuery, LetterTotals, Store, StoredDeadLetter

__all__ = ["exported", "named", "totals_row", "with_replays"]

_REMEMBERED_OPERATIONS = 1000
"""How many operations back the routes of replays are looked for."""


def named(letter: str) -> LetterQuery:
    """The dead letters with this id, or of the event with it."""
    return LetterQuery(match={"$or": [{"id": letter}, {"event_id": letter}]})


async def with_replays(store: Store, query: LetterQuery) -> LetterQuery:
    """A route's dead letters are also those of the replays into its sink."""
    live = [route for route in query.routes if "@" not in route]
    if not live:
        return query
    operations = await store.find_operations(subscription=query.subscription, limit=_REMEMBERED_OPERATIONS)
    replays = {
        operation.stored_route
        for operation in operations
        if operation.kind is OperationKind.REPLAY and operation.route in live
    }
    return replace(query, routes=(*query.routes, *sorted(replays)))


def exported(stored: StoredDeadLetter) -> dict[str, Any]:
    """All of a dead letter: its row, its event with the documents, and its message."""
    letter = stored.letter
    return {**letter_row(stored), "event": event_json(letter.event), "message": message_json(letter.body)}


def totals_row(totals: LetterTotals) -> dict[str, int]:
    """Totals by name."""
    return {
        "letters": totals.letters,
        "keys": totals.keys,
        "bytes": totals.size,
        "superseded": totals.superseded,
        "held": totals.held,
        "legal_hold": totals.legal_hold,
    }
