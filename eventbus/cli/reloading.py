"""`eventbus reload`: what a daemon made of its configuration's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from eventbus.cli.daemon_seen import DaemonAt
from eventbus.cli.printing import note, print_json

__all__ = ["print_reload"]

_SAID: Final[Mapping[str, str]] = {
    "applied": "The configuration is in force.",
    "unchanged": "Nothing has changed.",
    "refused": "Refused; nothing was changed.",
    "under_way": "It is under way, and takes longer than can be waited for: the daemon's log tells its end.",
}


async def print_reload(daemon: DaemonAt, as_json: bool) -> bool:
    """Have a daemon reload, and print what came of it.

    Returns:
        Whether it was not refused.

    Raises:
        ConfigurationError: It does not know the token, or a certificate is no good.
        Unreachable: Nobody answers.
    """
    outcome = await daemon.reload()
    if as_json:
        print_json(outcome)
    else:
        _print(outcome)
    return bool(outcome["result"] != "refused")


def _print(outcome: Mapping[str, Any]) -> None:
    typer.echo(_SAID[outcome["result"]])
    for what in ("added", "removed", "restarted", "sinks"):
        if names := outcome.get(what):
            typer.echo(f"{what}: {', '.join(names)}")
    for problem in outcome["problems"]:
        note(problem)
