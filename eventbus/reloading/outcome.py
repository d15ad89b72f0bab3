"""What came of a reload, and who can be asked for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["ReloadOutcome", "Reloads"]


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What a reload did.

    Args:
        result: ``applied``; ``unchanged``, since the files say what is in force already; or ``refused``, and
            then nothing was changed.
        added: Subscriptions that were begun.
        removed: Subscriptions that drained and are no more; what is stored of them stays.
        restarted: Subscriptions that drained and were begun anew, at their positions.
        sinks: Sinks that were made, made anew or closed.
        problems: Why it was refused, a sentence each, with its place in the files where it has one.
    """

    result: Literal["applied", "unchanged", "refused"]
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    restarted: Sequence[str] = ()
    sinks: Sequence[str] = ()
    problems: Sequence[str] = ()

    def described(self) -> Mapping[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "result": self.result,
            "added": list(self.added),
            "removed": list(self.removed),
            "restarted": list(self.restarted),
            "sinks": list(self.sinks),
            "problems": list(self.problems),
        }


class Reloads(Protocol):
    """Whoever can be asked to reload: the daemon."""

    async def reload(self) -> ReloadOutcome:
        """Read the configuration again and put in force what changed.

        It returns once what changed has drained and begun anew. Of two at once the second waits, and then
        finds nothing to do. No problem is raised: it is part of the outcome.
        """
