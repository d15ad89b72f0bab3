"""Two versions of a subscription over the same changes: which of them a route takes in one of them alone.

Both are read in the order of their tokens, so no more than a batch of each is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from eventbus.model import Message
from eventbus.preview.passage import Fate, Outcome, Passed
from eventbus.sinks.fanning_out import parts_of

__all__ = ["BEYOND_ALL", "Comparison", "Difference"]

BEYOND_ALL = "\uffff"
"""Greater than every token: how far a version is read that has come to its end."""

_Mark: TypeAlias = int
"""Of what a route takes: what its messages hold, in short."""

_PARKED: _Mark = -1


@dataclass(slots=True)
class Difference:
    """How a route's changes differ between two versions; those that it takes are delivered or parked.

    Args:
        newly: Taken by the new version alone.
        no_longer: Taken by the running version alone.
        altered: Taken by both, with another content, key, headers or target, or parked by one of them.
        same: Taken by both, and nothing differs.
    """

    newly: int = 0
    no_longer: int = 0
    altered: int = 0
    same: int = 0


class _Taken(NamedTuple):
    token: str
    marks: Mapping[str, _Mark]


class Comparison:
    """Goes along two versions of a subscription.

    Args:
        routes: Names of the routes of either version.
    """

    def __init__(self, routes: Sequence[str]) -> None:
        self.differences = {name: Difference() for name in routes}
        """By name of the route."""
        self._ahead: tuple[deque[_Taken], deque[_Taken]] = (deque(), deque())
        self._read = ["", ""]

    def add(self, version: int, passed: Sequence[Passed], read: str) -> None:
        """More of one version.

        Args:
            version: 0 is the new one, 1 the running one.
            passed: What became of its next changes.
            read: Token up to which it is read now.
        """
        for slot, fates in passed:
            marks = {
                name: _mark(fate) for name, fate in fates.items() if fate.outcome is not Outcome.FILTERED
            }
            if marks:
                self._ahead[version].append(_Taken(slot.event.token, marks))
        self._read[version] = read
        self._judge_up_to(min(self._read))

    def _judge_up_to(self, token: str) -> None:
        new, running = self._ahead
        while True:
            first = min((queue[0].token for queue in self._ahead if queue), default=BEYOND_ALL)
            if first > token or first == BEYOND_ALL:
                return
            self._judge(_pop(new, first), _pop(running, first))

    def _judge(self, new: Mapping[str, _Mark], running: Mapping[str, _Mark]) -> None:
        for name in new.keys() | running.keys():
            difference = self.differences[name]
            if name not in running:
                difference.newly += 1
            elif name not in new:
                difference.no_longer += 1
            elif new[name] == running[name]:
                difference.same += 1
            else:
                difference.altered += 1


def _pop(queue: deque[_Taken], token: str) -> Mapping[str, _Mark]:
    return queue.popleft().marks if queue and queue[0].token == token else {}


def _mark(fate: Fate) -> _Mark:
    if fate.message is None:
        return _PARKED
    return abs(hash(tuple(_content(part) for part in parts_of(fate.message))))


def _content(message: Message) -> tuple[object, ...]:
    return message.body, message.key, message.target, tuple(message.headers)
