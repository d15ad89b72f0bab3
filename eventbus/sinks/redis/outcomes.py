"""What an error of Redis means for messages, in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eventbus.sdk import DELIVERED, Failure, Fault, Message, Outcome, Rejected, Retry

__all__ = ["ERRORS", "outcome_of", "outcomes_of", "reason_of"]

ERRORS: Final = (RedisError, RedisClusterException)
"""All that the client raises of its own: the two have no ancestor in common."""

_UNAVAILABLE_ERRORS: Final = (
    *(AskError, ClusterError, OutOfMemoryError, ReadOnlyError, RedisClusterException, TryAgainError),
)


def outcomes_of(messages: Sequence[Message], failures: Sequence[Any]) -> list[Outcome]:
    """Delivered, but from the first failure of a target on whatever that failure means.

    Args:
        messages: In the order in which the script had them.
        failures: What the script gave: indices and errors in turn.
    """
    outcomes: list[Outcome] = [DELIVERED] * len(messages)
    for first, text in zip(failures[::2], failures[1::2], strict=True):
        target, outcome = messages[first].target, _by_code(text.decode(errors="replace"))
        for index in range(first, len(messages)):
            if messages[index].target == target:
                outcomes[index] = outcome
    return outcomes


def outcome_of(error: Exception) -> Outcome:
    """What an error of the whole call means for each of its messages."""
    reason = reason_of(error)
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return Retry(Fault.UNAUTHORISED, reason, kind=Failure.UNAUTHORISED)
    if isinstance(error, _UNAVAILABLE_ERRORS) or not isinstance(error, ResponseError):
        return Retry(Fault.UNAVAILABLE, reason, kind=_kind(error))
    return _by_code(reason)


def reason_of(error: Exception) -> str:
    """One line for people. Of a redirection the client keeps only where to."""
    if isinstance(error, AskError):
        return f"MOVED to {error.host}:{error.port}: the server is part of a cluster; set cluster: true"
    return str(error) or type(error).__name__


def _kind(error: Exception) -> Failure:
    """What kind of failure it is that the server has not, or not now, carried out the call."""
    match error:
        case RedisTimeoutError():
            return Failure.TIMEOUT
        case BusyLoadingError() | MaxConnectionsError():
            return Failure.SERVER
        case RedisConnectionError():
            return Failure.NETWORK
        case _:
            return Failure.SERVER


def _by_code(text: str) -> Outcome:
    """What the server's own word for one entry means; older servers put a script's name before the code."""
    found = re.search(r"\b[A-Z]{3,}\b", text)
    code = found.group() if found else ""
    if code in _REJECTED:
        return Rejected(text)
    if code in _UNAUTHORISED or _NO_RIGHT_IN_SCRIPT.search(text):
        return Retry(Fault.UNAUTHORISED, text, kind=Failure.UNAUTHORISED)
    return Retry(Fault.UNAVAILABLE if code in _UNAVAILABLE else Fault.FAILED, text)


_NO_RIGHT_IN_SCRIPT: Final = re.compile("user executing the script can't|ACL failure in script")
"""What a script is told of the rights of its user: by version, and without a code of its own."""

_REJECTED: Final = frozenset({"CROSSSLOT", "WRONGTYPE"})
_UNAUTHORISED: Final = frozenset({"NOAUTH", "NOPERM", "WRONGPASS"})
_UNAVAILABLE: Final = frozenset(
    {
        *("ASK", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED"),
        *("NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNKILLABLE"),
    }
)
