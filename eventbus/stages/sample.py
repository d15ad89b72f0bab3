"""Lets a part of the events through, the same ones whenever they come."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from eventbus.sdk import Event, Filtered, Options, StageContext, View
from eventbus.stages.each import EachEvent

__all__ = ["Sample", "SampleOptions"]

_DIGITS: Final = 8
"""So many hexadecimal digits decide, of an event's id or of its key's hash: they are as good as random."""


class SampleOptions(Options):
    """How many events go on."""

    share: Annotated[float, Field(ge=0, le=1)]
    """The part that goes on, from 0 to 1."""
    by: Literal["event", "document"] = "event"
    """What is chosen: `event` by `event`, or all events of a `document` or none."""


class Sample(EachEvent):
    """Lets through what a number below the share belongs to.

    Args:
        options: How many events go on.
        context: What every stage is given.
    """

    name = "sample"
    looks_where_told: ClassVar[bool] = True
    short: ClassVar[str] = "share"
    Options = SampleOptions

    def __init__(self, options: SampleOptions, context: StageContext) -> None:
        super().__init__(context)
        self._below = options.share * 16**_DIGITS
        self._by_document = options.by == "document"

    def change(self, view: View) -> Event | Filtered:
        """See `EachEvent`."""
        event = view.event
        digest = blake2b(event.key, digest_size=_DIGITS // 2).hexdigest() if self._by_document else event.id
        return event if int(digest[:_DIGITS], 16) < self._below else Filtered(event)
