"""What an error of MongoDB means for the messages of a bulk, in one table.

Texts of the server are not repeated where they quote documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from eventbus.sdk import DELIVERED, Failure, Fault, Outcome, Rejected, Retry
from eventbus.telemetry.redaction import redact

__all__ = ["outcome_of", "outcome_of_write", "outcomes_of", "reason_of"]

_DUPLICATE_KEY: Final = 11000
_UNAUTHORISED: Final = frozenset({11, 13, 18, 31, 8000})
_TOO_LARGE: Final = frozenset({10334, 17280, 17419, 17420, 10003})
_REJECTED: Final[Mapping[int, str]] = {
    _DUPLICATE_KEY: "a unique index of the collection has its value already",
    121: "the document fails the validation of the collection",
    66: "an immutable field would change, such as a shard key",
    61: "the collection is sharded by other fields than those that say which document is meant",
    **dict.fromkeys((2, 9, 14, 52, 53, 54, 56, 57), "MongoDB cannot store the document"),
    73: "the name of the database or collection is not valid",
}
# https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
_UNAVAILABLE: Final = frozenset(
    [
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, SocketException
        *(91, 11600, 11602, 262, 24, 50, 202),  # shutdown, interrupted, out of time
        *(189, 10107, 13435, 13436, 10058, 133),  # no primary, or not this one any more
        *(64, 79, 100, 134),  # the write concern cannot be met now
        *(14031, 46, 112, 246, 384, 290),  # disk full, locked, in conflict, overloaded
    ]
)
_TEXT_LIMIT: Final = 300


def outcomes_of(
    error: BulkWriteError, number: int, *, names: Sequence[str], is_repeatable: bool
) -> list[Outcome]:
    """The outcome of each write of an unordered bulk.

    Args:
        error: What the driver raised.
        number: How many writes there were.
        names: The fields that say which document is meant.
        is_repeatable: Whether such a document that is there already is of an earlier try of the same write.
            If not, another writer has put it there between the server's look and its write.
    """
    details = error.details
    if details["writeConcernErrors"]:
        code = details["writeConcernErrors"][-1].get("code")
        return [Retry(Fault.UNAVAILABLE, f"no majority has acknowledged the write: error {code}")] * number
    outcomes: list[Outcome] = [DELIVERED] * number
    for failed in details["writeErrors"]:
        if not _is_there(failed, names):
            outcomes[failed["index"]] = _by_code(failed["code"], f"error {failed['code']}")
        elif not is_repeatable:
            outcomes[failed["index"]] = Retry(Fault.UNAVAILABLE, "another writer was faster")
    return outcomes


def outcome_of(error: PyMongoError) -> Outcome:
    """What an error of the whole call means for each of its messages."""
    reason = reason_of(error)
    match error:
        case DocumentTooLarge():
            return Rejected("larger than MongoDB's limit on a document", Failure.TOO_LARGE)
        case NetworkTimeout() | ExecutionTimeout() | WTimeoutError():
            return Retry(Fault.UNAVAILABLE, reason, kind=Failure.TIMEOUT)
        case ServerSelectionTimeoutError() | ConnectionFailure():
            return Retry(Fault.UNAVAILABLE, reason, kind=Failure.NETWORK)
        case OperationFailure():
            return _by_code(error.code or 0, reason)
        case _:
            return Retry(Fault.UNAVAILABLE, reason, kind=Failure.TIMEOUT if error.timeout else Failure.SERVER)


def outcome_of_write(code: int) -> Rejected | Retry:
    """What the error of one write means for its message."""
    return _by_code(code, f"error {code}")


def reason_of(error: PyMongoError) -> str:
    """One line for people, without secrets."""
    return redact(" ".join(str(error).partition(", full error:")[0].partition(", Timeout:")[0].split()))[
        :_TEXT_LIMIT
    ]


def _by_code(code: int, text: str) -> Rejected | Retry:
    if code in _UNAUTHORISED:
        return Retry(
            Fault.UNAUTHORISED, f"MongoDB does not let us write: error {code}", kind=Failure.UNAUTHORISED
        )
    if code in _TOO_LARGE:
        return Rejected("larger than MongoDB's limit on a document", Failure.TOO_LARGE)
    if code in _REJECTED:
        return Rejected(f"{_REJECTED[code]} (error {code})")
    return Retry(Fault.UNAVAILABLE if code in _UNAVAILABLE else Fault.FAILED, text)


def _is_there(failed: Mapping[str, Any], names: Sequence[str]) -> bool:
    return bool(failed["code"] == _DUPLICATE_KEY and failed.get("keyPattern", {}).keys() == set(names))
