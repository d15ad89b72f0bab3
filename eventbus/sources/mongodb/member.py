"""Keeps a client to one member of the deployment, because a cursor lives where it was opened.

The driver asks any member that suits an operation, each time anew; a session does not bind it. Of several
secondaries, or several ``mongos``, a ``getMore`` would reach one that knows nothing of its cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pymongo.server_description import ServerDescription

__all__ = ["Member"]

_Address: TypeAlias = tuple[str, int | None]


class Member:
    """A ``server_selector`` of the driver: of the members that suit, always the same one.

    Where but one suits, as for the primary, there is nothing to choose and nothing is remembered. If the
    chosen one is gone, the nearest of the others is chosen; its streams end and are opened anew.
    """

    def __init__(self) -> None:
        self._chosen: _Address | None = None

    def __call__(self, suitable: Sequence[ServerDescription]) -> Sequence[ServerDescription]:
        """The one to ask, of those that the driver would ask."""
        if len(suitable) < 2:
            return suitable
        found = [server for server in suitable if server.address == self._chosen]
        if not found:
            found = [min(suitable, key=_distance)]
            self._chosen = found[0].address
        return found


def _distance(server: ServerDescription) -> float:
    return server.round_trip_time if server.round_trip_time is not None else float("inf")
