"""The commands about plugins."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eventbus.cli.options import JsonOption

__all__ = ["Kind", "app"]

app = typer.Typer(
    no_args_is_help=True, help="Plugins: packages that bring sinks, sources, stages or functions."
)


class Kind(StrEnum):
    """What a new package can bring."""

    SINK = "sink"
    SOURCE = "source"
    STAGE = "stage"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What users are to write as its type, such as spool.")],
    kind: Annotated[Kind, typer.Option(help="What it is to be.")] = Kind.SINK,
    into: Annotated[
        Path, typer.Option(help="The folder in which the package's own is made.", file_okay=False)
    ] = Path(),
) -> None:
    """Make a package with a plugin that works, and tests that pass: eventbus-NAME, to be changed into yours.

    Example: eventbus plugin new spool

    Example: eventbus plugin new iban --kind stage --into plugins
    """
    from eventbus.cli.plugins.making import make_plugin  # noqa: PLC0415 - a command loads what it needs

    make_plugin(name, kind.value, into)


@app.command("list")
def list_(
    built_in: Annotated[bool, typer.Option("--all", help="Also what eventbus itself brings.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what installed plugins bring, and try to import it. Exit 1 if something of it is broken.

    Example: eventbus plugin list

    Example: eventbus plugin list --all --json
    """
    from eventbus.cli.plugins.listing import print_plugins  # noqa: PLC0415

    raise typer.Exit(0 if print_plugins(built_in=built_in, as_json=as_json) else 1)
