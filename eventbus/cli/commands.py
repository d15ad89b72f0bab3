"""Every command, each a few lines: read the configuration, call what does the work, print."""

from __future__ import annotations

from collections.abc import Sized
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import orjson
import typer

from eventbus import __version__
from eventbus.cli.completing import routes, sinks
from eventbus.cli.dlq import app as dlq
from eventbus.cli.looking import doctor, reload, report, status, tail, top
from eventbus.cli.options import (
    ConfigOption,
    DetachOption,
    FilterOption,
    JsonOption,
    OneArgument,
    RateOption,
    RouteOption,
    SubscriptionArgument,
    SubscriptionOption,
    YesOption,
    loaded,
    match_of,
    rate_of,
)
from eventbus.cli.plugins.commands import app as plugin
from eventbus.cli.previews import plan, simulate
from eventbus.registry import Registry

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Carries every MongoDB change to Kafka, webhooks, Redis and files, and loses none.",
)
position = typer.Typer(no_args_is_help=True, help="Positions: how far each route has come.")
operation = typer.Typer(no_args_is_help=True, help="Operations: what is sent beside the changes that come.")
sink = typer.Typer(no_args_is_help=True, help="Sinks: whether they can be reached.")
app.add_typer(dlq, name="dlq")
app.add_typer(position, name="position")
app.add_typer(operation, name="operation")
app.add_typer(sink, name="sink")
app.add_typer(plugin, name="plugin")


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

    SIGHUP has it read the configuration again, and begin anew what changed.

    Example: eventbus run -c eventbus.yaml
    """
    from eventbus.daemon import run_daemon  # noqa: PLC0415 - only this command needs the whole daemon
    from eventbus.reloading.files import ConfigFiles  # noqa: PLC0415

    raise typer.Exit(run_daemon(ConfigFiles(config)))


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Configuration files, read as one.", exists=True, dir_okay=False)
    ],
    connect: Annotated[bool, typer.Option("--connect", help="Also ask MongoDB and the state store.")] = False,
) -> None:
    """Check a configuration: exit 0 if it is right, 2 with every problem and its place if not.

    Example: eventbus validate eventbus.yaml --connect
    """
    from eventbus.assembly import try_to_make  # noqa: PLC0415

    config = loaded(files)
    try_to_make(config)
    if connect:
        from eventbus.doctor.state import check_state  # noqa: PLC0415
        from eventbus.servers import check_sources  # noqa: PLC0415

        anyio.run(check_sources, config)
        anyio.run(check_state, config)
    typer.echo(f"ok: {_counted(config.subscriptions, 'subscription')}, {_counted(config.sinks, 'sink')}")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="What to write.", dir_okay=False)] = Path("eventbus.yaml"),
    uri: Annotated[
        str | None, typer.Option(envvar="MONGODB_URI", help="Address of MongoDB.", metavar="URI")
    ] = None,
    database: Annotated[str | None, typer.Option(help="The database to read.")] = None,
    collections: Annotated[
        list[str] | None, typer.Option("--collections", help="Only these, a,b; may be repeated.")
    ] = None,
    sinks: Annotated[
        list[str] | None,
        typer.Option(
            "--sink",
            help="kafka, webhook, redis, mongodb, file or stdout, with its address; may be repeated.",
            metavar="TYPE=ADDRESS",
        ),
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="mongodb, or sqlite=PATH for one daemon.", metavar="WHERE")
    ] = None,
    exactly_once: Annotated[
        bool | None, typer.Option("--exactly-once/--at-least-once", help="Where the target can.")
    ] = None,
    admin: Annotated[
        bool | None, typer.Option("--admin/--no-admin", help="An admin API, for whoever has a token.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look at no server.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    yes: YesOption = False,
) -> None:
    """Write a first configuration: asks what no option says, and looks at MongoDB for what to offer.

    A URI with a password never gets into the file: it refers to a variable instead.

    Example: eventbus init

    Example: eventbus init shop.yaml --database shop --collections orders --sink kafka=localhost:9092 --yes
    """
    from eventbus.cli.initial.writing import Given, initialise  # noqa: PLC0415

    names = [name for text in collections or [] for name in text.split(",") if name]
    given = Given(uri, database, names, sinks or [], state, exactly_once, admin)
    initialise(file, given, asks=not yes, force=force, offline=offline)


@app.command("test")
def run_tests(
    files: Annotated[
        list[Path], typer.Argument(help="Files of cases.", exists=True, dir_okay=False, metavar="FILE...")
    ],
    name: Annotated[
        str | None, typer.Option("-k", help="Only cases whose name contains this.", metavar="NAME")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run cases: given these changes, these messages must come of them. No server is asked.

    Exit 0 if all hold, 1 if one does not, 2 with every problem and its place if a file is wrong.

    Example: eventbus test cases/orders.yaml -k "paid order"
    """
    from eventbus.cli.cases import run_cases  # noqa: PLC0415

    raise typer.Exit(0 if anyio.run(partial(run_cases, as_json=as_json), files, name) else 1)


@app.command()
def explain(config: ConfigOption, subscription: SubscriptionArgument, as_json: JsonOption = False) -> None:
    """Show what runs where, and why: in MongoDB, in the daemon, on each route. It connects to nothing.

    Example: eventbus explain -c eventbus.yaml orders
    """
    from eventbus.cli import explaining  # noqa: PLC0415

    explaining.explain(loaded(config), subscription, as_json)


for _look in (doctor, plan, reload, report, simulate, status, tail, top):
    app.command()(_look)


@app.command()
def schema(
    cases: Annotated[bool, typer.Option("--cases", help="That of files of cases instead.")] = False,
) -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: eventbus schema > eventbus.schema.json

    Example: eventbus schema --cases > cases.schema.json
    """
    from eventbus.cases.schema import cases_schema  # noqa: PLC0415
    from eventbus.config import json_schema  # noqa: PLC0415

    made = cases_schema() if cases else json_schema(Registry.from_entry_points())
    typer.echo(orjson.dumps(made, option=orjson.OPT_INDENT_2))


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


@app.command()
def pause(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[str | None, typer.Option(help="Only this route.", autocompletion=routes)] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks.")] = None,
) -> None:
    """Send nothing on a route, or on all of a subscription, until it is resumed. Its events wait in MongoDB.

    Example: eventbus pause -c eventbus.yaml orders --route fulfilment --reason "stock-taking"
    """
    from eventbus.cli import pausing  # noqa: PLC0415

    anyio.run(pausing.pause, loaded(config), subscription, route, reason)


@app.command()
def resume(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[str | None, typer.Option(help="Only this route.", autocompletion=routes)] = None,
) -> None:
    """Lift a pause: that of the route, or that of the whole subscription if no route is named.

    Example: eventbus resume -c eventbus.yaml orders --route fulfilment
    """
    from eventbus.cli import pausing  # noqa: PLC0415

    anyio.run(pausing.resume, loaded(config), subscription, route)


@app.command()
def replay(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[
        str, typer.Option(help="Name of the route whose sink gets the events.", autocompletion=routes)
    ],
    first: Annotated[
        str,
        typer.Option(
            "--from", help="Begin here: -2h, a time, seconds.increment or a token.", metavar="MOMENT"
        ),
    ],
    last: Annotated[
        str | None,
        typer.Option("--to", help="End here; by default at the present moment.", metavar="MOMENT"),
    ] = None,
    rate: RateOption = None,
    yes: YesOption = False,
    detach: DetachOption = False,
) -> None:
    """Send a stretch of the source's history once more into one route's sink, beside the live events.

    A time that --from names is included, one that --to names is not; of a token it is the other way round.

    Example: eventbus replay -c eventbus.yaml orders --route fulfilment --from -2h --to -1h --rate 100/s

    Example: eventbus replay -c eventbus.yaml orders --route feed --from 2026-03-01T12:00:00Z --detach
    """
    from eventbus.cli import replaying  # noqa: PLC0415

    do = partial(replaying.replay, rate=rate_of(rate), yes=yes, detach=detach)
    well = anyio.run(do, loaded(config), subscription, route, first, last)
    raise typer.Exit(0 if well else 1)


@app.command()
def snapshot(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[
        list[str] | None,
        typer.Option(help="Only to this route, by default to all; may be repeated.", autocompletion=routes),
    ] = None,
    written: FilterOption = None,
    collection: Annotated[
        list[str] | None, typer.Option(help="Only documents of this collection; may be repeated.")
    ] = None,
    yes: YesOption = False,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send the documents that are there already, in order with the changes that go on meanwhile.

    Example: eventbus snapshot -c eventbus.yaml orders

    Example: eventbus snapshot -c eventbus.yaml orders --route feed --filter '{"region": "eu"}' --detach
    """
    from eventbus.cli import snapshotting  # noqa: PLC0415

    match = match_of(written, "--filter", '{"region": "eu"}')
    do = partial(snapshotting.snapshot, yes=yes, detach=detach, as_json=as_json)
    well = anyio.run(do, loaded(config), subscription, route or [], collection or [], match)
    raise typer.Exit(0 if well else 1)


@app.command()
def gaps(
    config: ConfigOption,
    subscription: OneArgument = None,
    route: RouteOption = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List gaps, the newest first: what a route was never given, from when to when, and why.

    Example: eventbus gaps -c eventbus.yaml orders --route fulfilment
    """
    from eventbus.cli.gaps import print_gaps  # noqa: PLC0415

    anyio.run(print_gaps, loaded(config), subscription, route, limit, as_json)


@operation.command("list")
def operation_list(
    config: ConfigOption,
    subscription: SubscriptionOption = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List operations, the newest first, those that are over included.

    Example: eventbus operation list -c eventbus.yaml --subscription orders
    """
    from eventbus.cli.operations import print_operations  # noqa: PLC0415

    anyio.run(print_operations, loaded(config), subscription, limit, as_json)


@operation.command("show")
def operation_show(
    config: ConfigOption,
    operation_id: Annotated[str, typer.Argument(help="Id of the operation.", metavar="ID")],
    until_over: Annotated[bool, typer.Option("--follow", help="Show its progress until it is over.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one operation. Exit 1 if it is over and not all of its events were delivered.

    Example: eventbus operation show -c eventbus.yaml 1f0a9b8c7d --follow
    """
    from eventbus.cli.operations import print_operation  # noqa: PLC0415

    show = partial(print_operation, as_json=as_json, until_over=until_over)
    well = anyio.run(show, loaded(config), operation_id)
    raise typer.Exit(0 if well else 1)


@operation.command("cancel")
def operation_cancel(
    config: ConfigOption,
    operation_id: Annotated[str, typer.Argument(help="Id of the operation.", metavar="ID")],
) -> None:
    """Cancel an operation: what it has sent stays sent. Exit 1 if it was over already.

    Example: eventbus operation cancel -c eventbus.yaml 1f0a9b8c7d
    """
    from eventbus.cli.operations import cancel  # noqa: PLC0415

    raise typer.Exit(0 if anyio.run(cancel, loaded(config), operation_id) else 1)


@sink.callback()
def _sinks() -> None:
    """Keeps the group a group while it has one command."""


@sink.command("test")
def sink_test(
    config: ConfigOption,
    name: Annotated[str, typer.Argument(help="Name of the sink.", autocompletion=sinks)],
    database: Annotated[str | None, typer.Option(help="Database that the event names.")] = None,
    collection: Annotated[str | None, typer.Option(help="Collection that the event names.")] = None,
    document: Annotated[
        str | None, typer.Option(help="Send an insert of this, in Extended JSON.", metavar="JSON")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send one marked event to a sink and print each step. Exit 1 if it is refused, 3 if a server is away.

    Example: eventbus sink test -c eventbus.yaml orders_topic

    Example: eventbus sink test -c eventbus.yaml cache --document '{"_id": "test"}' --json
    """
    from eventbus.cli.sink_test import Place, test_sink  # noqa: PLC0415

    given = match_of(document, "--document", '{"_id": "test"}') if document is not None else None
    do = partial(test_sink, as_json=as_json)
    raise typer.Exit(anyio.run(do, loaded(config), name, Place(database, collection), given))


@position.command("show")
def position_show(
    config: ConfigOption,
    subscription: OneArgument = None,
    as_json: JsonOption = False,
) -> None:
    """Show the stored position of each route, and whether it is paused.

    Example: eventbus position show -c eventbus.yaml orders
    """
    from eventbus.cli.positions import print_positions  # noqa: PLC0415

    anyio.run(print_positions, loaded(config), subscription, as_json)


@position.command("forget")
def position_forget(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[str, typer.Option(help="Name of the route.")],
    yes: YesOption = False,
) -> None:
    """Remove the position of a route that is configured no more, while nobody runs its subscription.

    Example: eventbus position forget -c eventbus.yaml orders --route old_feed
    """
    from eventbus.cli.forgetting import forget  # noqa: PLC0415

    anyio.run(partial(forget, yes=yes), loaded(config), subscription, route)


@position.command("set")
def position_set(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[str, typer.Option(help="Name of the route.", autocompletion=routes)],
    to: Annotated[
        str,
        typer.Option(
            help="Go on from here: now, oldest, -2h, a time, seconds.increment or a token.", metavar="MOMENT"
        ),
    ],
    yes: YesOption = False,
    detach: DetachOption = False,
) -> None:
    """Have a route go on from another position: what is skipped is recorded as a gap, or comes again.

    The daemon that runs the subscription ends all of its routes in good order and begins them anew; if none
    runs it, the next one to start does it.

    Example: eventbus position set -c eventbus.yaml orders --route fulfilment --to oldest
    """
    from eventbus.cli.moving import set_position  # noqa: PLC0415

    do = partial(set_position, yes=yes, detach=detach)
    raise typer.Exit(0 if anyio.run(do, loaded(config), subscription, route, to) else 1)


def _counted(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
