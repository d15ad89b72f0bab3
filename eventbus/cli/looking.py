"""The commands that only look: what is wrong, how routes stand, which events pass."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated

import anyio
import typer

from eventbus.cli.options import ConfigOption, JsonOption, UrlOption, duration_of, loaded
from eventbus.errors import ConfigurationError

__all__ = ["doctor", "status", "tail", "top"]

SubscriptionArgument = Annotated[str, typer.Argument(help="Name of the subscription.")]
OneArgument = Annotated[str | None, typer.Argument(help="Only this subscription.")]


def doctor(
    config: ConfigOption,
    subscription: OneArgument = None,
    write: Annotated[bool, typer.Option("--write", help="Also send each sink a marked event.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for what would keep it from working well, and say what to type. Exit 1 if something fails.

    Example: eventbus doctor -c eventbus.yaml orders
    """
    from eventbus.cli.doctor import examine  # noqa: PLC0415

    do = partial(examine, write=write, as_json=as_json)
    raise typer.Exit(0 if anyio.run(do, loaded(config), subscription) else 1)


def status(
    config: ConfigOption,
    subscription: OneArgument = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how each route stands, who runs it, how far behind it is, and what to type next.

    Example: eventbus status -c eventbus.yaml orders
    """
    from eventbus.cli.status import print_status  # noqa: PLC0415

    anyio.run(print_status, loaded(config), subscription, url, as_json)


def top(
    config: ConfigOption,
    subscription: OneArgument = None,
    url: UrlOption = None,
    every: Annotated[str, typer.Option(help="How often to look.", metavar="DURATION")] = "2s",
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
) -> None:
    """Show the same as status again and again, until Ctrl-C.

    Example: eventbus top -c eventbus.yaml --every 5s
    """
    from eventbus.cli.status import print_status, show_top  # noqa: PLC0415

    every_secs = duration_of("--every", every)
    if once:
        anyio.run(print_status, loaded(config), subscription, url, False)
        return
    with suppress(KeyboardInterrupt):  # that is how it ends
        anyio.run(show_top, loaded(config), subscription, url, every_secs)


def tail(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[str | None, typer.Option(help="Only what this route takes, as it makes it.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Begin so long ago, by default now.", metavar="DURATION")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="json or pretty.", metavar="FORMAT")] = "pretty",
    limit: Annotated[int, typer.Option(help="End after so many; 0 for none.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Print events as they pass a subscription's pipeline, until Ctrl-C. It moves nothing and stores nothing.

    Example: eventbus tail -c eventbus.yaml orders --since 5m --limit 10

    Example: eventbus tail -c eventbus.yaml orders --route fulfilment --json
    """
    from eventbus.cli import tailing  # noqa: PLC0415

    if form not in set(tailing.Format):
        raise ConfigurationError(f"--format: expected json or pretty, got {form!r}")
    since_secs = duration_of("--since", since) if since is not None else None
    chosen = tailing.Format.JSON if as_json else tailing.Format(form)
    do = partial(tailing.tail, route=route, since_secs=since_secs, form=chosen, limit=limit)
    with suppress(KeyboardInterrupt):  # that is how it ends
        anyio.run(do, loaded(config), subscription)
