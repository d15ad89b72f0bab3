"""The section of notices: changes of state as messages to a sink."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eventbus.config.section import Section
from eventbus.telemetry.notices import NoticeKind
from eventbus.units import Duration

__all__ = ["NoticesSection"]


class NoticesSection(Section):
    """Which changes of state are told to a sink; by default none."""

    sink: Annotated[str, Field(min_length=1)]
    """Name of a sink under sinks."""
    kinds: Annotated[list[Annotated[NoticeKind, Field(strict=False)]], Field(min_length=1)] | None = None
    """Which kinds; by default all."""
    dead_letters_above: Annotated[int, Field(ge=1)] = 100
    """More parked dead letters than these, on one route, are told of."""
    headroom_below: Annotated[Duration, Field(gt=0)] = 21600.0
    """Less headroom than this is told of."""
    min_interval: Annotated[Duration, Field(ge=0)] = 300.0
    """The shortest time between two problems of one thing; what comes and goes faster is told once."""
    max_age: Annotated[Duration, Field(gt=0)] = 3600.0
    """How long a notice is tried; then it is dropped."""
    max_queued: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """How many notices may wait for the sink; of more the oldest are dropped."""
