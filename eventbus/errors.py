"""Every error that eventbus raises on purpose, one class for each reaction.

::

    EventbusError
    ├── ConfigurationError   the operator must change something: say where, exit 2, start nothing
    ├── Unreachable          a server cannot be talked to now: wait with backoff, say so, not ready
    ├── PositionLost         the source cannot continue from a position: by policy, never silently
    ├── LeaseLost            somebody else runs the subscription: cancel its flows, write nothing more
    ├── NotFound             what a command is to show is not stored: say so, exit 1
    └── EncodingError        one event cannot be written in a form: park that event
        └── NoForm           the form is not meant for such events: leave that event out

Failures of single deliveries are no exceptions but values: see `eventbus.model.Outcome`.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "EncodingError",
    "EventbusError",
    "LeaseLost",
    "NoForm",
    "NotFound",
    "PositionLost",
    "Unreachable",
    "first_cause",
    "said",
]


class EventbusError(Exception):
    """Base of all; its text is one line for people and holds no secret."""


class ConfigurationError(EventbusError):
    """Something that only the operator can mend.

    Args:
        problems: One line each, as ``file:line:col: path: what is wrong`` where a place is known.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unreachable(EventbusError):
    """A server that should be there does not answer now."""


class PositionLost(EventbusError):
    """The source no longer has what comes after a position."""


class LeaseLost(EventbusError):
    """The lease of a subscription is held by another daemon, or its epoch has moved on."""


class NotFound(EventbusError):
    """What a command was told to show, or to change, is not in the state store."""


class EncodingError(EventbusError):
    """One event cannot be written in the form that was asked for."""


class NoForm(EncodingError):
    """The form that was asked for has no place for events of this kind, so that one is filtered."""


def said(error: BaseException) -> str:
    """One of ours in its own words; any other with its type, and no longer than a line of a log may be."""
    if isinstance(error, EventbusError):
        return str(error)
    return f"{type(error).__name__}: {error}"[:_LONGEST]


_LONGEST = 300


def first_cause(error: BaseException) -> BaseException:
    """The first error in an exception group, however deep; any other error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
