"""A word about names that are not configured."""

from __future__ import annotations

from eventbus.administration.names import unknown
from eventbus.cli.printing import note
from eventbus.config import Config

__all__ = ["note_unknown"]


def note_unknown(config: Config, subscription: str | None, route: str | None) -> None:
    """Say so if a name is not configured: what it left behind is shown all the same."""
    said = unknown(config, subscription, route)
    if said is not None:
        note(said)
