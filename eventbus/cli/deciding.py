"""Deciding about dead letters: discard them, keep them whatever their age, or no longer."""

from __future__ import annotations

import typer

from eventbus.cli.asking import requester
from eventbus.cli.letters import query_of
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import LetterQuery, Store

__all__ = ["discard", "hold"]


async def discard(config: Config, query: LetterQuery, *, yes: bool) -> None:
    """Decide that parked dead letters need not be sent."""
    async with open_store(config, access=Access.OPERATE) as store:
        query = await query_of(config, store, query)
        if await _agreed(store, query, "discard", yes=yes):
            changed = await store.discard_letters(query, by=requester())
            typer.echo(f"discarded {_counted(changed)}")


async def hold(config: Config, query: LetterQuery, *, wanted: bool, yes: bool) -> None:
    """Set or lift the legal hold of dead letters."""
    verb, done = ("hold", "now held") if wanted else ("release from legal hold", "no longer held")
    async with open_store(config, access=Access.OPERATE) as store:
        query = await query_of(config, store, query)
        if await _agreed(store, query, verb, yes=yes):
            changed = await store.hold_letters(query, hold=wanted)
            typer.echo(f"{done}: {_counted(changed)}")


async def _agreed(store: Store, query: LetterQuery, verb: str, *, yes: bool) -> bool:
    """Say how many there are, and ask. False if there are none."""
    totals = await store.count_letters(query)
    if not totals.letters:
        typer.echo("no dead letters")
        return False
    typer.echo(f"{_counted(totals.letters)} of {totals.keys} keys, {totals.legal_hold} of them on legal hold")
    if not yes:
        typer.confirm(f"{verb} them?", abort=True)
    return True


def _counted(letters: int) -> str:
    return f"{letters} dead letter{'' if letters == 1 else 's'}"
