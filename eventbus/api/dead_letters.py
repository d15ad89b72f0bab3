"""Endpoints about dead letters: look, count, export, send once more, discard, hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Final, Literal

import anyio
import orjson
from pydantic import Field

from eventbus.administration import letters, resending
from eventbus.administration.letter_rows import letter_row
from eventbus.administration.replaying import waits_for_resume
from eventbus.api import answers
from eventbus.api.endpoints import Call, Endpoint, Lines, Params, Wish
from eventbus.api.operating import Name, WishedRate, stored
from eventbus.api.problems import Refused
from eventbus.api.running import Limit
from eventbus.errors import ConfigurationError
from eventbus.state.store import LetterQuery, LetterStatus, Store, StoredDeadLetter

__all__ = ["ENDPOINTS"]

_Status = Literal["parked", "replayed", "discarded", "any"]
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{8,200}$")]
"""Longer than every word that stands in its place in another path, such as discard."""
_Most = Annotated[int, Field(ge=1)]


class _Which(Params):
    subscription: str | None = None
    """Only of this subscription."""
    route: str | None = None
    """Only of this route, and of the replays into its sink."""
    match: str | None = None
    """Only what this MQL matches, in relaxed Extended JSON."""
    status: _Status = "parked"
    """Only what has this status."""


class _Listed(_Which):
    limit: Limit = 100
    """At most so many."""


class _Exported(_Which):
    limit: Annotated[int, Field(ge=0)] = 0
    """At most so many; 0 for all."""


class _One(Params):
    letter: _Id
    """Id of the dead letter, or of its event."""
    body: bool = False
    """Also the event with its documents, and the message."""


class _Parked(Wish):
    """Parked dead letters."""

    subscription: Name | None = None
    """Only of this subscription."""
    route: Name | None = None
    """Only of this route, and of the replays into its sink."""
    match: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Only what this MQL matches, in relaxed Extended JSON."""


class _Discard(_Parked):
    """Parked dead letters that need not be sent."""

    at_most: _Most
    """How many are meant at most: if there are more, none is changed."""


class _Hold(_Parked):
    """Dead letters of which the legal hold is to change."""

    status: _Status = "parked"
    """Only what has this status."""
    at_most: _Most | None = None
    """How many are meant at most: if there are more, none is changed."""


class _Replay(_Parked):
    """Parked dead letters that are to be sent once more."""

    rate: WishedRate | None = None
    """The most events a second, minute or hour, for each route, such as 50/s."""
    skip_superseded: bool = False
    """Leave out those of whose key a newer event went out."""
    dry_run: bool = False
    """Only say what would be sent."""


async def _list(call: Call, which: _Listed, _: None) -> answers.DeadLetters:
    store = await call.reach.store()
    query = await letters.with_replays(store, _query(which))
    rows = []
    async for found in store.find_letters(query, limit=which.limit + 1):
        rows.append(_row(letter_row(found)))
        await anyio.lowlevel.checkpoint()  # each may be large, and events are waiting
    return answers.DeadLetters(dead_letters=rows[: which.limit], more=len(rows) > which.limit)


async def _count(call: Call, which: _Which, _: None) -> answers.Totals:
    store = await call.reach.store()
    totals = await store.count_letters(await letters.with_replays(store, _query(which)))
    return answers.Totals(**letters.totals_row(totals))


async def _export(call: Call, which: _Exported, _: None) -> Lines:
    store = await call.reach.store()
    query = await letters.with_replays(store, _query(which))
    found = store.find_letters(query, limit=which.limit or None)
    first = await anext(found, None)  # a query that is wrong is told before the answer begins

    async def lines() -> Lines:
        try:
            if first is not None:
                yield _line(first)
            async for one in found:
                yield _line(one)
        finally:
            if isinstance(found, AsyncGenerator):
                await found.aclose()

    return lines()


async def _show(call: Call, which: _One, _: None) -> answers.DeadLetters:
    store = await call.reach.store()
    rows = []
    async for found in store.find_letters(letters.named(which.letter)):
        rows.append(_row(letters.exported(found) if which.body else letter_row(found)))
        await anyio.lowlevel.checkpoint()
    if not rows:
        raise Refused("not_found", f"no dead letter has the id {which.letter}")
    return answers.DeadLetters(dead_letters=rows, more=False)


async def _replay(call: Call, _: Params, wish: _Replay) -> answers.Resending:
    store = await call.reach.store()
    query = _query_of(wish, [LetterStatus.PARKED])
    if wish.skip_superseded:
        query = resending.without_superseded(query)
    parts = await resending.plan(call.config, store, query)
    remarks = [resending.remark_on_held(parts), resending.remark_on_superseded(parts, "skip_superseded")]
    remarks += [await waits_for_resume(store, part.subscription, part.route) for part in parts]
    operations = [] if wish.dry_run else await _sent(call, store, parts, wish.rate)
    return answers.Resending(
        parts=[answers.Part(**part.row()) for part in parts],
        remarks=[remark for remark in remarks if remark],
        operations=operations,
    )


async def _sent(
    call: Call, store: Store, parts: Sequence[resending.Part], rate: float | None
) -> list[answers.Operation]:
    if (found := await resending.busy(store, parts)) is not None:
        operation, part = found
        raise Refused("conflict", f"operation {operation.id} sends dead letters of {part.name} already")
    return [await stored(store, part.operation(rate=rate, runner="", by=call.by)) for part in parts]


async def _discard(call: Call, _: Params, wish: _Discard) -> answers.Changed:
    store = await call.reach.store()
    query = await _bounded(store, _query_of(wish, [LetterStatus.PARKED]), wish.at_most)
    return answers.Changed(changed=await store.discard_letters(query, by=call.by))


async def _hold(call: Call, _: Params, wish: _Hold) -> answers.Changed:
    return await _held(call, wish, hold=True)


async def _unhold(call: Call, _: Params, wish: _Hold) -> answers.Changed:
    return await _held(call, wish, hold=False)


async def _held(call: Call, wish: _Hold, *, hold: bool) -> answers.Changed:
    store = await call.reach.store()
    query = await _bounded(store, _query_of(wish, _statuses(wish.status)), wish.at_most)
    return answers.Changed(changed=await store.hold_letters(query, hold=hold))


async def _bounded(store: Store, query: LetterQuery, at_most: int | None) -> LetterQuery:
    """The query with all that it means.

    Raises:
        Refused: It means more than its author thinks.
    """
    query = await letters.with_replays(store, query)
    if at_most is not None and (found := (await store.count_letters(query)).letters) > at_most:
        raise Refused("conflict", f"there are {found}, which is more than at_most: none was changed")
    return query


def _query(which: _Which) -> LetterQuery:
    routes = () if which.route is None else (which.route,)
    return LetterQuery(which.subscription, routes, _match(which.match), _statuses(which.status))


def _query_of(wish: _Parked, statuses: Sequence[LetterStatus]) -> LetterQuery:
    return LetterQuery(wish.subscription, () if wish.route is None else (wish.route,), wish.match, statuses)


def _statuses(status: str) -> Sequence[LetterStatus]:
    return () if status == "any" else (LetterStatus(status),)


def _match(text: str | None) -> dict[str, Any]:
    try:
        found = orjson.loads(text) if text is not None else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError('match: expected a JSON object, such as \'{"attempts": {"$gte": 3}}\'')
    return found


def _row(row: dict[str, Any]) -> answers.DeadLetter:
    return answers.DeadLetter(**orjson.loads(orjson.dumps(row)))


def _line(found: StoredDeadLetter) -> bytes:
    return orjson.dumps(letters.exported(found), option=orjson.OPT_APPEND_NEWLINE)


_LETTERS: Final = "/dead-letters"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _LETTERS,
        "list_dead_letters",
        "Dead letters, the oldest first.",
        _list,
        answers.DeadLetters,
        _Listed,
        refusals=["unavailable"],
    ),
    Endpoint(
        "GET",
        f"{_LETTERS}/count",
        "count_dead_letters",
        "How many, and of how many keys.",
        _count,
        answers.Totals,
        _Which,
        refusals=["unavailable"],
    ),
    Endpoint(
        "GET",
        f"{_LETTERS}/export",
        "export_dead_letters",
        "With events and messages, one a line.",
        _export,
        None,
        _Exported,
        refusals=["unavailable"],
    ),
    Endpoint(
        "GET",
        f"{_LETTERS}/{{letter}}",
        "show_dead_letter",
        "Everything of the dead letters of an id.",
        _show,
        answers.DeadLetters,
        _One,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_LETTERS}/replay",
        "replay_dead_letters",
        "Send parked ones once more.",
        _replay,
        answers.Resending,
        Params,
        _Replay,
        status=202,
        refusals=["conflict", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_LETTERS}/discard",
        "discard_dead_letters",
        "Decide that parked ones need not be sent.",
        _discard,
        answers.Changed,
        Params,
        _Discard,
        refusals=["conflict", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_LETTERS}/hold",
        "hold_dead_letters",
        "Keep them whatever their age.",
        _hold,
        answers.Changed,
        Params,
        _Hold,
        refusals=["conflict", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_LETTERS}/unhold",
        "unhold_dead_letters",
        "Keep them no longer than others.",
        _unhold,
        answers.Changed,
        Params,
        _Hold,
        refusals=["conflict", "unavailable"],
    ),
)
