"""Looking at dead letters: list, count, show."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import typer

from eventbus.administration import letters
from eventbus.administration.letter_rows import errors_of, letter_row
from eventbus.administration.letters import exported, totals_row, with_replays
from eventbus.cli.names import note_unknown
from eventbus.cli.printing import Row, note, print_json, print_pages, print_record, print_table
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import LetterQuery, Store, StoredDeadLetter

__all__ = ["print_count", "print_letter", "print_letters", "query_of"]

_LIST = (
    "id",
    "subscription",
    "route",
    "operation",
    "key",
    "kind",
    "reason",
    "attempts",
    "status",
    "created_at",
)


async def query_of(config: Config, store: Store, query: LetterQuery) -> LetterQuery:
    """The query as people mean it, and a word about names that are not configured."""
    note_unknown(config, query.subscription, query.routes[0] if query.routes else None)
    return await with_replays(store, query)


async def print_letters(config: Config, query: LetterQuery, limit: int, as_json: bool) -> None:
    """Print dead letters as tables, or as one JSON object a line; at most `limit`, 0 for all."""
    async with open_store(config, access=Access.READ) as store:
        rows = _rows(store, await query_of(config, store, query), limit)
        if not as_json:
            await print_pages(_LIST, rows, "no dead letters")
            return
        async for row in rows:
            print_json(row)


async def print_count(config: Config, query: LetterQuery, as_json: bool) -> None:
    """Print what a query finds, in numbers."""
    async with open_store(config, access=Access.READ) as store:
        totals = await store.count_letters(await query_of(config, store, query))
    (print_json if as_json else print_record)(totals_row(totals))


async def print_letter(config: Config, named: str, body: bool, as_json: bool) -> bool:
    """Print everything of the dead letters with this id, or of this event. False if there is none."""
    async with open_store(config, access=Access.READ) as store:
        found = [stored async for stored in store.find_letters(letters.named(named))]
    for stored in found:
        if as_json:
            print_json(exported(stored) if body else letter_row(stored))
        else:
            _print_one(stored, body=body)
    if not found:
        note(f"no dead letter has the id {named}")
    return bool(found)


async def _rows(store: Store, query: LetterQuery, limit: int) -> AsyncIterator[Row]:
    """At most so many rows, and a word if there are more."""
    count = 0
    async for stored in store.find_letters(query, limit=limit + 1 if limit else None):
        if limit and count == limit:
            note(f"there are more than {limit}: see --limit")
            return
        yield letter_row(stored)
        count += 1


def _print_one(stored: StoredDeadLetter, *, body: bool) -> None:
    row = letter_row(stored)
    row.pop("errors")
    print_record(row)
    print_table(("at", "kind", "reason"), errors_of(stored), "no attempt failed")
    if body:
        whole = exported(stored)
        content = {"event": whole["event"], "message": whole["message"]}
        typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    typer.echo()
