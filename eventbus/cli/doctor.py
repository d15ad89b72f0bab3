"""What would keep a configuration from working well: one line for each check, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import typer

from eventbus.administration.names import check_subscription
from eventbus.cli.asking import requester
from eventbus.cli.printing import note, print_json, printable
from eventbus.cli.to_type import naming
from eventbus.config import Config
from eventbus.doctor.examination import Examination
from eventbus.doctor.findings import Finding, Verdict

__all__ = ["examine"]

_SHOWN = {Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}


async def examine(
    config: Config, files: Sequence[Path], subscription: str | None, *, write: bool, as_json: bool
) -> bool:
    """Print what is found.

    Args:
        config: The configuration.
        files: Where it is, for the commands that are to be typed.
        subscription: The only one to look at; None for all.
        write: Whether to send each sink a marked event.
        as_json: One object a line.

    Returns:
        Whether nothing fails.

    Raises:
        ConfigurationError: There is no such subscription.
    """
    if subscription is not None:
        check_subscription(config, subscription)
    names = [subscription] if subscription is not None else list(config.subscriptions)
    counts = Counter[Verdict]()
    named = naming(files)
    examination = Examination(config, names, write=write, sender=requester())
    async with aclosing(examination.findings()) as findings:
        async for found in findings:
            finding = replace(found, mend=named(found.mend))
            counts[finding.verdict] += 1
            if as_json:
                print_json(finding.row())
            else:
                _print(finding)
    note(", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    return not counts[Verdict.FAIL]


def _print(finding: Finding) -> None:
    about = f"{finding.about}: " if finding.about else ""
    typer.echo(f"{_SHOWN[finding.verdict]:<5} {finding.code:<22} {printable(about + finding.text)}")
    if finding.mend:
        typer.echo(f"{'':<5} do: {printable(finding.mend)}")
