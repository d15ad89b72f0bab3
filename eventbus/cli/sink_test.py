"""The command that sends one marked event to a sink, and prints each step."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

import typer

from eventbus.administration.sink_test import Place, Step, Verdict, sink_tested
from eventbus.cli.asking import requester
from eventbus.cli.printing import print_json, printable
from eventbus.config import Config

__all__ = ["Place", "test_sink"]

_CODES: Final = {Verdict.DELIVERED: 0, Verdict.REFUSED: 1, Verdict.AWAY: 3}
"""Exit codes of the command line: see `eventbus.cli`."""


async def test_sink(
    config: Config, name: str, place: Place, document: Mapping[str, Any] | None, as_json: bool
) -> int:
    """Send it, and print each step when it was taken.

    Args:
        config: Declares the sink.
        name: Name of the sink.
        place: Names for templates.
        document: Sent as an insert of it, for sinks that take changes of documents alone.
        as_json: One object a line.

    Returns:
        The exit code: 0 delivered, 1 refused, 3 a server is away.

    Raises:
        ConfigurationError: There is no such sink, or its options turn out to be wrong.
    """
    verdict = None
    async with aclosing(sink_tested(config, name, place, document, by=requester())) as steps:
        async for step in steps:
            verdict = step.verdict
            if as_json:
                print_json(step.row())
            else:
                _print(step)
    return _CODES[verdict or Verdict.AWAY]


def _print(step: Step) -> None:
    shown = "ok" if step.ok else "FAILED"
    typer.echo(f"{step.name:<13}{shown:<8}{step.seconds * 1000:>9.1f} ms  {printable(step.detail)}".rstrip())
