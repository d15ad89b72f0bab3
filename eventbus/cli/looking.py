"""The commands that only look: what is wrong, how routes stand, which events pass."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from eventbus.cli.completing import routes
from eventbus.cli.options import (
    CaOption,
    CertificateOption,
    ConfigOption,
    ConfigOrUrlOption,
    JsonOption,
    OneArgument,
    SubscriptionArgument,
    TokenOption,
    UrlOption,
    duration_of,
    loaded,
)
from eventbus.errors import ConfigurationError

if TYPE_CHECKING:
    from eventbus.cli.daemon_seen import DaemonAt
    from eventbus.cli.status import Look
    from eventbus.config import Config

__all__ = ["doctor", "reload", "report", "status", "tail", "top"]


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
    raise typer.Exit(0 if anyio.run(do, loaded(config), config, subscription) else 1)


def status(
    config: ConfigOrUrlOption = None,
    subscription: OneArgument = None,
    url: UrlOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how each route stands, who runs it, how far behind it is, and what to type next.

    With --url and --token instead of a configuration it is the daemon that looks.

    Example: eventbus status -c eventbus.yaml orders

    Example: eventbus status --url https://eventbus.internal:8686 --ca ca.pem orders
    """
    from eventbus.cli.status import print_status  # noqa: PLC0415

    look = _look(config, subscription, url, token, ca, certificate)
    anyio.run(print_status, look, as_json)


def report(
    config: ConfigOption,
    subscription: OneArgument = None,
    window: Annotated[str, typer.Option(help="1h, 6h, 24h, 7d or 30d.", metavar="WINDOW")] = "24h",
    form: Annotated[
        str, typer.Option("--format", help="table, markdown or json.", metavar="FORMAT")
    ] = "table",
    url: UrlOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report how every route has done: health, errors by kind, by hour, trend, and what to type next.

    Example: eventbus report -c eventbus.yaml --window 7d

    Example: eventbus report -c eventbus.yaml orders --window 30d --format markdown
    """
    from eventbus.administration.report import WINDOWS  # noqa: PLC0415
    from eventbus.cli.reporting import Form, print_report  # noqa: PLC0415

    if window not in WINDOWS:
        raise ConfigurationError(f"--window: expected one of {', '.join(WINDOWS)}, got {window!r}")
    if form not in set(Form):
        raise ConfigurationError(f"--format: expected one of {', '.join(Form)}, got {form!r}")
    read = loaded(config)
    daemon = _daemon(read, url, token, ca, certificate)
    do = partial(print_report, window=window, daemon=daemon, form=Form.JSON if as_json else Form(form))
    anyio.run(do, read, config, subscription)


def top(
    config: ConfigOrUrlOption = None,
    subscription: OneArgument = None,
    url: UrlOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    every: Annotated[str, typer.Option(help="How often to look.", metavar="DURATION")] = "2s",
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
) -> None:
    """Show the same as status again and again, until Ctrl-C.

    Example: eventbus top -c eventbus.yaml --every 5s
    """
    from eventbus.cli.status import print_status, show_top  # noqa: PLC0415

    every_secs = duration_of("--every", every)
    look = _look(config, subscription, url, token, ca, certificate)
    if once:
        anyio.run(print_status, look, False)
        return
    with suppress(KeyboardInterrupt):  # that is how it ends
        anyio.run(show_top, look, every_secs)


def _look(
    files: list[Path] | None,
    subscription: str | None,
    url: str | None,
    token: str | None,
    ca: Path | None,
    certificate: Path | None,
) -> Look:
    """Who looks: this command if it has a configuration, else the daemon."""
    from eventbus.cli.status import OwnLook, RemoteLook  # noqa: PLC0415

    config = loaded(files) if files else None
    daemon = _daemon(config, url, token, ca, certificate)
    if config is not None:
        return OwnLook(config, files or [], subscription, daemon)
    if daemon is None or token is None:
        raise ConfigurationError("give a configuration with -c, or --url and --token to ask a daemon")
    return RemoteLook(daemon, subscription)


def _daemon(
    config: Config | None, url: str | None, token: str | None, ca: Path | None, certificate: Path | None
) -> DaemonAt | None:
    """The daemon at an address, or else at that of its configuration; None if neither says where it is."""
    from eventbus.cli.daemon_seen import DaemonAt, address_of  # noqa: PLC0415

    address = url or (address_of(config.server) if config is not None else None)
    return DaemonAt(address, token, ca, certificate) if address is not None else None


def reload(
    config: ConfigOrUrlOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a daemon read its configuration again, and begin anew what changed. Exit 1 if it is refused.

    It reads its own files, wherever this command runs; SIGHUP does the same.

    Example: eventbus reload -c eventbus.yaml

    Example: eventbus reload --url https://eventbus.internal:8686 --ca ca.pem
    """
    from eventbus.cli.reloading import print_reload  # noqa: PLC0415

    daemon = _daemon(loaded(config) if config else None, url, token, ca, certificate)
    if daemon is None:
        raise ConfigurationError("give a configuration whose server.port is not 0 with -c, or --url")
    if token is None:
        raise ConfigurationError("give --token, or the variable EVENTBUS_TOKEN: a token with the scope write")
    raise typer.Exit(0 if anyio.run(print_reload, daemon, as_json) else 1)


def tail(
    config: ConfigOption,
    subscription: SubscriptionArgument,
    route: Annotated[
        str | None, typer.Option(help="Only what this route takes, as it makes it.", autocompletion=routes)
    ] = None,
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
