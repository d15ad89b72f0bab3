"""Rules about how often something happens, by the times at which it was committed."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TypeAlias

from eventbus.canonical import canonical_value
from eventbus.sdk import Event, View
from eventbus.stages.validate.options import RateRule

__all__ = ["RateCheck"]

_Counted: TypeAlias = deque[tuple[float, str, str]]
"""When events were committed, their tokens and their ids; never more than may be in the time."""


class RateCheck:
    """Counts events that keep the rule, in the order in which a route takes them.

    Args:
        options: How often something may happen.
    """

    def __init__(self, options: RateRule) -> None:
        self._options = options
        self._counted: OrderedDict[bytes, _Counted] = OrderedDict()

    def failure(self, view: View) -> str | None:
        """Why an event does not keep the rule; None if it does.

        Raises:
            ExpressionError: What it is counted by has no value.
        """
        counted = self._of(view)
        if counted is None or len(counted) < self._options.at_most or _is_among(view.event, counted):
            return None
        is_past = counted[0][0] <= _time(view.event) - self._options.per
        return None if is_past else f"more than {self._options.at_most} in {self._options.per:g} seconds"

    def count(self, view: View) -> None:
        """An event that keeps the rule goes on.

        Raises:
            ExpressionError: As above.
        """
        counted = self._of(view)
        if counted is not None and not _is_among(view.event, counted):
            counted.append((_time(view.event), view.event.token, view.event.id))

    def _of(self, view: View) -> _Counted | None:
        """What was counted together with an event; None if that is not counted."""
        value = self._options.by.value(view) if self._options.by is not None else True
        if value is None:
            return None
        key = canonical_value(value)
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = deque(maxlen=self._options.at_most)
            if len(self._counted) > self._options.entries:
                self._counted.popitem(last=False)
        self._counted.move_to_end(key)
        return counted


def _is_among(event: Event, counted: _Counted) -> bool:
    """Whether an event was counted before: it has come again."""
    if not counted or event.token > counted[-1][1]:
        return False
    return any(event_id == event.id for _, _, event_id in counted)


def _time(event: Event) -> float:
    return event.cluster_time.seconds if event.cluster_time is not None else event.time_ms / 1000
