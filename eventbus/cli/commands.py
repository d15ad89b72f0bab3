"""Every command, each a few lines: read the configuration, call what does the work, print."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Annotated

import anyio
import orjson
import typer

from eventbus import __version__
from eventbus.config import Config, load
from eventbus.registry import Registry

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Carries every MongoDB change to Kafka, webhooks, Redis and files, and loses none.",
)
dlq = typer.Typer(no_args_is_help=True, help="Dead letters: events that were set aside with a reason.")
position = typer.Typer(no_args_is_help=True, help="Positions: how far each route has come.")
app.add_typer(dlq, name="dlq")
app.add_typer(position, name="position")

ConfigOption = Annotated[
    list[Path],
    typer.Option(
        "--config", "-c", help="Configuration file; several are read as one.", exists=True, dir_okay=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Common options."""


@app.command()
def run(config: ConfigOption) -> None:
    """Run the daemon until SIGTERM, which drains it; a second one stops it at once.

    Example: eventbus run -c eventbus.yaml
    """
    from eventbus.daemon import run_daemon  # noqa: PLC0415 - only this command needs the whole daemon

    raise typer.Exit(run_daemon(_load(config)))


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Configuration files, read as one.", exists=True, dir_okay=False)
    ],
    connect: Annotated[bool, typer.Option("--connect", help="Also ask MongoDB if it accepts it.")] = False,
) -> None:
    """Check a configuration: exit 0 if it is right, 2 with every problem and its place if not.

    Example: eventbus validate eventbus.yaml --connect
    """
    config = _load(files)
    if connect:
        from eventbus.daemon import check_sources  # noqa: PLC0415

        anyio.run(check_sources, config)
    typer.echo(f"ok: {_counted(config.subscriptions, 'subscription')}, {_counted(config.sinks, 'sink')}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: eventbus schema > eventbus.schema.json
    """
    from eventbus.config import json_schema  # noqa: PLC0415

    typer.echo(orjson.dumps(json_schema(Registry.from_entry_points()), option=orjson.OPT_INDENT_2))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(envvar="DEMO_SECONDS", help="End after so long.")] = None,
    rate: Annotated[float, typer.Option(envvar="DEMO_RATE", help="Changes a second.")] = 200.0,
) -> None:
    """Show a shop's changes reaching a webhook, Redis, a file and Kafka, on real servers started for it.

    Example: eventbus demo --seconds 20
    """
    from eventbus import demo as demonstration  # noqa: PLC0415

    raise typer.Exit(demonstration.run(seconds=seconds, rate=rate))


@dlq.command("list")
def dlq_list(
    config: ConfigOption,
    subscription: Annotated[str | None, typer.Option(help="Only of this subscription.")] = None,
    route: Annotated[str | None, typer.Option(help="Only of this route.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, oldest first.

    Example: eventbus dlq list -c eventbus.yaml --route fulfilment
    """
    from eventbus.cli.reading import print_dead_letters  # noqa: PLC0415

    anyio.run(print_dead_letters, _load(config), subscription, route, limit, as_json)


@position.command("show")
def position_show(
    config: ConfigOption,
    subscription: Annotated[str | None, typer.Argument(help="Only this subscription.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the stored position of each route.

    Example: eventbus position show -c eventbus.yaml orders
    """
    from eventbus.cli.reading import print_positions  # noqa: PLC0415

    anyio.run(print_positions, _load(config), subscription, as_json)


def _counted(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _load(files: list[Path]) -> Config:
    return load(files, Registry.from_entry_points())
