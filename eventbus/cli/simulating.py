"""What a configuration would have sent of past changes, shown to people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import typer

from eventbus.administration.moments import end_of, start_of
from eventbus.administration.names import check_subscription
from eventbus.cli.printing import Row, note, print_json, print_table, printable
from eventbus.cli.stretch_progress import reading
from eventbus.config import Config
from eventbus.errors import ConfigurationError, PositionLost
from eventbus.preview.stretch import Stretch, stretch_of
from eventbus.preview.tally import Tally
from eventbus.preview.walking import Walked, walk
from eventbus.sdk import Source
from eventbus.servers import open_client, source_of
from eventbus.telemetry.logs import configure_logs
from eventbus.units import parse_duration

__all__ = ["print_simulation"]

_POOL_SIZE: Final = 6
_COLUMNS: Final = (
    *("subscription", "route", "sink", "delivered", "filtered", "parked", "messages", "bytes", "keys"),
    *("per_sec", "busiest_sec", "busiest_min", "newly", "no_longer", "altered"),
)
_REASONS: Final = ("subscription", "route", "outcome", "reason", "changes")


async def print_simulation(
    config: Config,
    *,
    subscription: str | None,
    since: str,
    until: str,
    running: Config | None,
    samples: int,
    as_json: bool,
) -> bool:
    """Print what would have become of past changes.

    Args:
        config: The new configuration.
        subscription: The only one to look at; None for all.
        since: Where to begin, as people write it.
        until: Where to end.
        running: The configuration to compare with; None for none.
        samples: How many messages of each route to show.
        as_json: One object a line.

    Returns:
        Whether no stage would stop a subscription.

    Raises:
        ConfigurationError: A name or a moment is wrong, or MongoDB refuses a subscription.
        Unreachable: MongoDB does not answer at the start. Later it is waited for.
    """
    if subscription is not None:
        check_subscription(config, subscription)
    configure_logs(config.log.level, config.log.format, config.log.levels)
    found: list[Walked] = []
    async with open_client(config.mongodb, "simulate", _POOL_SIZE, config.read_preference) as client:
        names = [subscription] if subscription is not None else list(config.subscriptions)
        stretches = {name: await _stretch(source_of(config, name, client), since, until) for name in names}
        longest = min(stretches.values(), key=lambda stretch: stretch.start.token)
        sinks = {name: Tally(longest) for name in config.sinks}
        for name, stretch in stretches.items():
            if stretch.is_short:
                note(f"{name}: MongoDB still has the changes of {stretch.secs} s, and those are read")
            try:
                with reading(name) as report:
                    walked = await walk(
                        client,
                        config,
                        name,
                        stretch,
                        running=running,
                        samples=samples,
                        into=sinks,
                        report=report,
                    )
            except PositionLost as lost:
                raise ConfigurationError(f"--since: so long ago cannot be read any more: {lost}") from None
            found.append(walked)
    used = {sink for walked in found for sink in walked.sinks.values()}
    rows = [row for walked in found for row in _route_rows(walked)]
    rows += [_sink_row(name, tally) for name, tally in sinks.items() if name in used]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print(rows, found)
    for walked in found:
        if walked.stopped is not None:
            note(f"{walked.subscription} would stop: {walked.stopped}")
    return all(walked.stopped is None for walked in found)


async def _stretch(source: Source, since: str, until: str) -> Stretch:
    now = datetime.now(UTC)
    end = await source.now() if until == "now" else end_of("--until", _ago(until), source, now)
    return await stretch_of(source, start_of("--since", _ago(since), source, now), end)


def _ago(written: str) -> str:
    """A duration alone is meant to be so long ago."""
    try:
        parse_duration(written)
    except ValueError:
        return written
    return f"-{written}"


def _route_rows(walked: Walked) -> Iterator[dict[str, Any]]:
    for name, tally in walked.routes.items():
        difference = (walked.differences or {}).get(name)
        yield {
            "subscription": walked.subscription,
            "route": name,
            "sink": walked.sinks[name],
            "secs": walked.stretch.secs,
            "read": walked.read,
            **_numbers(tally),
            "filtered": tally.filtered.total(),
            "parked": tally.parked.total(),
            "filtered_by": dict(tally.filtered),
            "parked_because": dict(tally.parked),
            "newly": difference.newly if difference is not None else None,
            "no_longer": difference.no_longer if difference is not None else None,
            "altered": difference.altered if difference is not None else None,
            "stopped": walked.stopped,
            "samples": tally.samples,
        }
    for name, difference in (walked.differences or {}).items():
        if name not in walked.routes:  # of the running configuration alone
            yield {
                "subscription": walked.subscription,
                "route": name,
                "sink": None,
                "newly": difference.newly,
                "no_longer": difference.no_longer,
                "altered": difference.altered,
            }


def _sink_row(name: str, tally: Tally) -> dict[str, Any]:
    return {"subscription": None, "route": None, "sink": name, **_numbers(tally)}


def _numbers(tally: Tally) -> dict[str, Any]:
    return {
        "delivered": tally.delivered,
        "messages": tally.messages,
        "bytes": tally.size,
        "keys": tally.keys,
        "more_keys": tally.has_more_keys,
        "per_sec": round(tally.pace.mean, 3),
        "busiest_sec": tally.pace.busiest_second,
        "busiest_min": tally.pace.busiest_minute,
    }


def _print(rows: Sequence[Row], found: Sequence[Walked]) -> None:
    shown = [{**row, "keys": _keys(row)} for row in rows]
    print_table(_COLUMNS, shown, "no routes")
    reasons = [
        {
            "subscription": walked.subscription,
            "route": name,
            "outcome": outcome,
            "reason": reason,
            "changes": count,
        }
        for walked in found
        for name, tally in walked.routes.items()
        for outcome, counts in (("filtered", tally.filtered), ("parked", tally.parked))
        for reason, count in counts.most_common()
    ]
    if reasons:
        print_table(_REASONS, reasons, "")
    for walked in found:
        for name, tally in walked.routes.items():
            for sample in tally.samples:
                typer.echo(f"{walked.subscription}/{name}: {printable(orjson.dumps(sample).decode())}")


def _keys(row: Row) -> str | None:
    if row.get("keys") is None:
        return None
    return f"more than {row['keys']}" if row["more_keys"] else str(row["keys"])
