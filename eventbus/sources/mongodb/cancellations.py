"""How often the driver looks whether an operation that waits for the server's answer was cancelled.

It does so twice a second for each connection that waits, a fifth of what a hundred idle streams cost.
Only one thing cancels an operation in that way: the driver's own look at a server that got no answer, which
takes ten seconds and the time to connect. A close ends what waits at once. There is no option for it.
"""

from __future__ import annotations

from typing import Final

from pymongo import network_layer

__all__ = ["LOOK_EVERY_SECS", "look_seldom"]

LOOK_EVERY_SECS: Final = 2.0
"""So much later, at most, is it known that a server has fallen silent."""

_NAME: Final = "_POLL_TIMEOUT"


def look_seldom() -> None:
    """Have all clients of the process look less often. A driver that has no such time is left as it is."""
    if isinstance(getattr(network_layer, _NAME, None), float):
        setattr(network_layer, _NAME, LOOK_EVERY_SECS)
