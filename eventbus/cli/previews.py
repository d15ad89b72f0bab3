"""The commands that say what a configuration would do, before it does it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import anyio
import typer

from eventbus.cli.options import ConfigOption, JsonOption, OneArgument, loaded

__all__ = ["plan", "simulate"]

RunningOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(help="The configuration that runs now, to compare with.", exists=True, dir_okay=False),
]


def plan(
    config: ConfigOption,
    subscription: OneArgument = None,
    running: RunningOption = None,
    window: Annotated[
        str, typer.Option(help="Compare the changes of so long, up to now.", metavar="DURATION")
    ] = "1h",
    as_json: JsonOption = False,
) -> None:
    """Say what would become of each route at the start of a configuration, and of what is stored of others.

    Exit 1 if a position is lost, a route is orphaned, or a snapshot would begin. Nothing is changed.

    Example: eventbus plan -c new.yaml --running eventbus.yaml --window 6h
    """
    from eventbus.cli.planning import print_plan  # noqa: PLC0415

    do: Any = partial(
        print_plan,
        loaded(config),
        config,
        subscription=subscription,
        running=loaded(running) if running else None,
        window=window,
        as_json=as_json,
    )
    raise typer.Exit(0 if anyio.run(do) else 1)


def simulate(
    config: ConfigOption,
    subscription: OneArgument = None,
    since: Annotated[
        str, typer.Option(help="Begin there: 6h (so long ago), a time, a cluster time.", metavar="MOMENT")
    ] = "1h",
    until: Annotated[str, typer.Option(help="End there.", metavar="MOMENT")] = "now",
    running: RunningOption = None,
    samples: Annotated[int, typer.Option(help="So many messages of each route.", min=0, max=100)] = 3,
    as_json: JsonOption = False,
) -> None:
    """Read past changes, and say what a configuration would send of them. Nothing is sent or stored.

    Exit 1 if a stage would stop a subscription.

    Example: eventbus simulate -c new.yaml --since 6h --running eventbus.yaml

    Example: eventbus simulate -c new.yaml orders --since 2026-03-01T12:00:00Z --until 2h --samples 1 --json
    """
    from eventbus.cli.simulating import print_simulation  # noqa: PLC0415

    do: Any = partial(
        print_simulation,
        loaded(config),
        subscription=subscription,
        since=since,
        until=until,
        running=loaded(running) if running else None,
        samples=samples,
        as_json=as_json,
    )
    raise typer.Exit(0 if anyio.run(do) else 1)
