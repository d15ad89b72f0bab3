"""Options that several commands share, and what is made of them before anything is connected to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import orjson
import typer

from eventbus.cli.completing import routes, subscriptions
from eventbus.config import Config, load
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from eventbus.units import parse_duration, parse_rate

__all__ = [
    "CaOption",
    "CertificateOption",
    "ConfigOption",
    "ConfigOrUrlOption",
    "DetachOption",
    "FilterOption",
    "JsonOption",
    "LimitOption",
    "MatchOption",
    "OneArgument",
    "RateOption",
    "RouteOption",
    "Status",
    "StatusOption",
    "SubscriptionArgument",
    "SubscriptionOption",
    "TokenOption",
    "UrlOption",
    "YesOption",
    "duration_of",
    "loaded",
    "match_of",
    "rate_of",
]

_T = TypeVar("_T")


class Status(StrEnum):
    """The status of a dead letter, or none in particular."""

    PARKED = "parked"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    ANY = "any"


ConfigOption: TypeAlias = Annotated[
    list[Path],
    typer.Option(
        "--config", "-c", help="Configuration file; several are read as one.", exists=True, dir_okay=False
    ),
]
ConfigOrUrlOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", help="Configuration file; several are read as one.", exists=True, dir_okay=False
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
SubscriptionArgument: TypeAlias = Annotated[
    str, typer.Argument(help="Name of the subscription.", autocompletion=subscriptions)
]
OneArgument: TypeAlias = Annotated[
    str | None, typer.Argument(help="Only this subscription.", autocompletion=subscriptions)
]
SubscriptionOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Only of this subscription.", autocompletion=subscriptions)
]
RouteOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Only of this route.", autocompletion=routes)
]
MatchOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Only what this MQL matches, in relaxed Extended JSON.", metavar="MQL")
]
FilterOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--filter", help="Only documents that this MQL matches, in Extended JSON.", metavar="MQL"),
]
StatusOption: TypeAlias = Annotated[
    Status, typer.Option(help="Only what has this status.", case_sensitive=False)
]
LimitOption: TypeAlias = Annotated[int, typer.Option(help="At most so many; 0 for all.", min=0)]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RateOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The most events a second, minute or hour: 50/s.", metavar="RATE")
]
UrlOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Where the daemon answers, by default as server says.", metavar="URL")
]
TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(envvar="EVENTBUS_TOKEN", help="What is shown to the daemon at --url.", metavar="TOKEN"),
]
CaOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Certificates to trust at --url instead of the system's.", exists=True, dir_okay=False),
]
CertificateOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Our own certificate and its key, in one file, if --url wants to see one.",
        exists=True,
        dir_okay=False,
    ),
]
DetachOption: TypeAlias = Annotated[bool, typer.Option("--detach", help="Do not wait for its end.")]


def loaded(files: list[Path]) -> Config:
    """The configuration in these files."""
    return load(files, Registry.from_entry_points())


def match_of(
    text: str | None, option: str = "--match", example: str = '{"attempts": {"$gte": 3}}'
) -> Mapping[str, Any]:
    """The query that was written; none matches all.

    Raises:
        ConfigurationError: It is no JSON object. Whether it is a query, the store says, or the source.
    """
    found = _parsed(option, orjson.loads, text) if text is not None else {}
    if not isinstance(found, dict):
        raise ConfigurationError(f"{option}: expected a JSON object, such as '{example}'")
    return found


def rate_of(text: str | None) -> float | None:
    """Events a second; None for no bound.

    Raises:
        ConfigurationError: It is no rate.
    """
    return None if text is None else _parsed("--rate", parse_rate, text)


def duration_of(option: str, text: str) -> float:
    """Seconds.

    Raises:
        ConfigurationError: It is no duration, or none at all.
    """
    secs = _parsed(option, parse_duration, text)
    if secs <= 0:
        raise ConfigurationError(f"{option}: must be longer than nothing")
    return secs


def _parsed(option: str, parse: Callable[[str], _T], text: str) -> _T:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None
