"""The commands about dead letters."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from eventbus.cli.options import (
    ConfigOption,
    DetachOption,
    JsonOption,
    LimitOption,
    MatchOption,
    RateOption,
    RouteOption,
    Status,
    StatusOption,
    SubscriptionOption,
    YesOption,
    loaded,
    match_of,
    rate_of,
)
from eventbus.errors import ConfigurationError

if TYPE_CHECKING:
    from eventbus.state.store import LetterQuery

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Dead letters: events that were set aside with a reason.")


@app.command("list")
def list_(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    status: StatusOption = Status.PARKED,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, oldest first.

    Example: eventbus dlq list -c eventbus.yaml --route fulfilment --match '{"kind": "rejected"}'
    """
    from eventbus.cli.letters import print_letters  # noqa: PLC0415 - a command loads what it needs

    query = _query(subscription, route, match, status)
    anyio.run(print_letters, loaded(config), query, limit, as_json)


@app.command()
def show(
    config: ConfigOption,
    letter: Annotated[str, typer.Argument(help="Id of a dead letter, or of its event.", metavar="ID")],
    body: Annotated[
        bool, typer.Option("--body", help="Also the event with its documents, and the message.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything of one dead letter: why, every error and when, what it waits behind.

    Example: eventbus dlq show -c eventbus.yaml 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --body
    """
    from eventbus.cli.letters import print_letter  # noqa: PLC0415

    found = anyio.run(print_letter, loaded(config), letter, body, as_json)
    raise typer.Exit(0 if found else 1)


@app.command()
def count(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    status: StatusOption = Status.PARKED,
    as_json: JsonOption = False,
) -> None:
    """Count dead letters, their keys and bytes, and how many are superseded or held.

    Example: eventbus dlq count -c eventbus.yaml --match '{"reason": {"$regex": "^HTTP 422"}}'
    """
    from eventbus.cli.letters import print_count  # noqa: PLC0415

    anyio.run(print_count, loaded(config), _query(subscription, route, match, status), as_json)


@app.command()
def export(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    status: StatusOption = Status.PARKED,
    limit: LimitOption = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to this file, whole or not at all.", dir_okay=False),
    ] = None,
) -> None:
    """Write dead letters with their events and messages, one JSON object a line.

    Example: eventbus dlq export -c eventbus.yaml --route fulfilment -o letters.jsonl
    """
    from eventbus.cli.exporting import export_letters  # noqa: PLC0415

    query = _query(subscription, route, match, status)
    anyio.run(export_letters, loaded(config), query, limit, output)


@app.command()
def replay(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    rate: RateOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    skip_superseded: Annotated[
        bool, typer.Option("--skip-superseded", help="Leave out those of whose key a newer event went out.")
    ] = False,
    edited: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            help="Send them from here, by the routes and sinks of this configuration.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this operation of a command that was ended.", metavar="ID")
    ] = None,
    yes: YesOption = False,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send parked dead letters once more, and show how it comes along. Exit 1 if some stayed parked.

    Example: eventbus dlq replay -c eventbus.yaml --match '{"kind": "rejected"}' --dry-run

    Example: eventbus dlq replay -c eventbus.yaml --route fulfilment --rate 50/s --skip-superseded

    Example: eventbus dlq replay -c eventbus.yaml --route fulfilment --with edited.yaml
    """
    from eventbus.cli import resending  # noqa: PLC0415

    if edited and detach:
        raise ConfigurationError("--detach: with --with it is this command that sends them")
    if resume is not None:
        if not edited or subscription or route or match:
            raise ConfigurationError("--resume: needs --with, and knows which dead letters by itself")
        raise _exit(anyio.run(resending.go_on, loaded(config), resume, edited))
    query = _query(subscription, route, match, Status.PARKED)
    if skip_superseded:
        query = resending.without_superseded(query)
    if dry_run:
        anyio.run(resending.print_plan, loaded(edited or config), query, as_json)
        return
    if as_json:
        raise ConfigurationError("--json: only with --dry-run")
    do = partial(resending.resend, edited=edited or [], rate=rate_of(rate), yes=yes, detach=detach)
    raise _exit(anyio.run(do, loaded(config), query))


@app.command()
def discard(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    yes: YesOption = False,
) -> None:
    """Decide that parked dead letters need not be sent. They stay in the store until they expire.

    Example: eventbus dlq discard -c eventbus.yaml --match '{"collection": "drafts"}'
    """
    from eventbus.cli import deciding  # noqa: PLC0415

    query = _query(subscription, route, match, Status.PARKED)
    anyio.run(partial(deciding.discard, yes=yes), loaded(config), query)


@app.command()
def hold(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    status: StatusOption = Status.PARKED,
    yes: YesOption = False,
) -> None:
    """Put dead letters on legal hold: they are kept whatever their age.

    Example: eventbus dlq hold -c eventbus.yaml --status any --match '{"document_key._id": 4711}'
    """
    from eventbus.cli import deciding  # noqa: PLC0415

    query = _query(subscription, route, match, status)
    anyio.run(partial(deciding.hold, wanted=True, yes=yes), loaded(config), query)


@app.command()
def unhold(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    route: RouteOption = None,
    match: MatchOption = None,
    status: StatusOption = Status.PARKED,
    yes: YesOption = False,
) -> None:
    """Lift the legal hold of dead letters.

    Example: eventbus dlq unhold -c eventbus.yaml --status any --match '{"document_key._id": 4711}'
    """
    from eventbus.cli import deciding  # noqa: PLC0415

    query = _query(subscription, route, match, status)
    anyio.run(partial(deciding.hold, wanted=False, yes=yes), loaded(config), query)


def _query(subscription: str | None, route: str | None, match: str | None, status: Status) -> LetterQuery:
    from eventbus.state.store import LetterQuery, LetterStatus  # noqa: PLC0415

    return LetterQuery(
        subscription=subscription,
        routes=() if route is None else (route,),
        match=match_of(match),
        statuses=() if status is Status.ANY else (LetterStatus(status.value),),
    )


def _exit(well: bool) -> typer.Exit:
    return typer.Exit(0 if well else 1)
