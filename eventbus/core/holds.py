"""Keys that are held: their later events wait behind a dead letter. It decides; it waits for nothing.

Whoever releases keys asks a store first which of them have no dead letter left, and that takes time in which
a further one may be written. So every park is counted when it begins and when it has ended, and a key is
released only if none of it was under way when the store was asked, and none began since.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Hold", "Holds"]


class Hold(NamedTuple):
    """What the later events of a key wait behind.

    Args:
        event_id: Id of the dead letter's event.
        token: Its place in the source's order. What is read again after a crash from before it waits for
            nothing: it would come after what it precedes.
    """

    event_id: str
    token: str


class Holds:
    """The held keys of one route.

    Args:
        held: What is held from the start, by key.
    """

    def __init__(self, held: Mapping[bytes, Hold]) -> None:
        self.parks = 0
        """Goes up when a park begins and when it ends."""
        self._behind = dict(held)
        self._under_way: dict[bytes, int] = {}
        self._ended: dict[bytes, int] = {}

    @property
    def held(self) -> Mapping[bytes, Hold]:
        """What each held key waits behind, as it is at every moment."""
        return MappingProxyType(self._behind)

    def behind(self, key: bytes, token: str) -> str | None:
        """Id of the event that one at `token` waits behind; None if it waits for nothing."""
        hold = self._behind.get(key)
        return hold.event_id if hold is not None and hold.token < token else None

    def begin(self, key: bytes, hold: Hold) -> bool:
        """A dead letter of the key is about to be written.

        Returns:
            Whether the key was not held before.
        """
        self.parks += 1
        self._under_way[key] = self._under_way.get(key, 0) + 1
        known = self._behind.get(key)
        if known is None or hold.token < known.token:
            self._behind[key] = hold
        return known is None

    def end(self, key: bytes) -> None:
        """A dead letter of the key is durable."""
        self.parks += 1
        self._ended[key] = self.parks
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]

    def release(self, keys: Collection[bytes], asked: int) -> int:
        """Hold keys no longer, as far as what the store said of them still holds.

        Args:
            keys: Keys of which the store had no dead letter left.
            asked: The number of `parks` before it was asked.

        Returns:
            How many were released.
        """
        free = [key for key in keys if self._is_free(key, asked)]
        for key in free:
            del self._behind[key]
            self._ended.pop(key, None)
        return len(free)

    def _is_free(self, key: bytes, asked: int) -> bool:
        return key in self._behind and key not in self._under_way and self._ended.get(key, 0) <= asked
