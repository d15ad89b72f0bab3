"""What the server's errors ask for: one table of codes and labels, each with one reaction.

Codes and labels are read from the server's reply itself (`exc.details`), because the driver drops labels
and some codes when replies are raw BSON. What is in no row is met with trying again for ever, with backoff
and visibly: an error that nobody has foreseen must not stop a stream that could go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import OperationFailure, PyMongoError

__all__ = ["LABELS", "TABLE", "Failure", "Reaction", "Row", "failure_of"]


class Reaction(StrEnum):
    """What a reader does about a failure."""

    RESUME = "resume"
    """Open the stream again after the last position, with backoff, for ever."""
    RESUME_AFTER_INVALIDATE = "resume_after_invalidate"
    """The position is that of an invalidate: only ``startAfter`` goes on from there."""
    REOPEN_AT_CLUSTER_TIME = "reopen_at_cluster_time"
    """This stream cannot use the token: open at the cluster time inside it and skip what was read."""
    OVERSIZE = "oversize"
    """A change is too large to be sent: find it, park it by its identity, go on after it."""
    HISTORY_LOST = "history_lost"
    """What comes next is gone: the subscription's policy decides."""
    FATAL_CONFIGURATION = "fatal_configuration"
    """The server refuses the stream as it is configured: only the operator can help."""


@dataclass(frozen=True, slots=True)
class Row:
    """One error of the server.

    Args:
        code: Its number.
        name: The server's name for it, or what it stands for where the server has only the number.
        reaction: What to do.
        meaning: What it means for a stream, in a sentence for operators; empty where the name says it all.
    """

    code: int
    name: str
    reaction: Reaction
    meaning: str = ""


_PASSING: Final = {
    6: "HostUnreachable",
    7: "HostNotFound",
    26: "NamespaceNotFound",
    43: "CursorNotFound",
    50: "MaxTimeMSExpired",
    63: "StaleShardVersion",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    136: "CappedPositionLost",
    143: "CursorInUse",
    150: "StaleEpoch",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    222: "CloseChangeStream",
    234: "RetryChangeStream",
    237: "CursorKilled",
    246: "SnapshotUnavailable",
    262: "ExceededTimeLimit",
    279: "ClientDisconnect",
    317: "ConnectionPoolExpired",
    346: "ChangeStreamInvalidated",
    365: "TemporarilyUnavailable",
    384: "ConnectionError",
    433: "AdmissionQueueOverflow",
    462: "IngressRequestRateLimitExceeded",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
}

_UNREADABLE_POSITION: Final = "the position is no resume token that this server can read"
_UNREADABLE: Final = {
    15: "Overflow",
    207: "InvalidUUID",
    40646: "OversizedResumeToken",
    40647: "BadResumeToken",
    40649: "EmptyResumeToken",
    **dict.fromkeys((50793, 50795, 50796, 50872, 51055, 51057), "BadResumeToken"),
}
"""Given for tokens that were cut short or mistyped, or come from a later version of the server."""
_UNREADABLE_KEY: Final = "the token lacks the types of its numbers, or is of another version"
_PIPELINE: Final = "the server refuses the stream's filter or stages"

TABLE: Final[tuple[Row, ...]] = (
    *(Row(code, name, Reaction.RESUME) for code, name in _PASSING.items()),
    Row(260, "InvalidResumeToken", Reaction.RESUME_AFTER_INVALIDATE, "the position is that of an invalidate"),
    Row(
        280,
        "ChangeStreamFatalError",
        Reaction.REOPEN_AT_CLUSTER_TIME,
        "the position is not among the changes of the stream as it is now, or the stages modify _id",
    ),
    *(
        Row(code, "KeyStringFormatError", Reaction.REOPEN_AT_CLUSTER_TIME, _UNREADABLE_KEY)
        for code in range(50810, 50832)
    ),
    *(
        Row(code, name, Reaction.REOPEN_AT_CLUSTER_TIME, _UNREADABLE_POSITION)
        for code, name in _UNREADABLE.items()
    ),
    Row(
        286,
        "ChangeStreamHistoryLost",
        Reaction.HISTORY_LOST,
        "the oplog no longer reaches back to the position",
    ),
    Row(10334, "BSONObjectTooLarge", Reaction.OVERSIZE, "a change is larger than a document may be"),
    Row(
        7182500,
        "SplitEventTooLarge",
        Reaction.OVERSIZE,
        "one field of a change is larger than a document may be",
    ),
    Row(2, "BadValue", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(9, "FailedToParse", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(13, "Unauthorized", Reaction.FATAL_CONFIGURATION, "the user may not read these changes"),
    Row(14, "TypeMismatch", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(
        18,
        "AuthenticationFailed",
        Reaction.FATAL_CONFIGURATION,
        "the server refuses the name or the password",
    ),
    Row(20, "IllegalOperation", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(
        47,
        "NoMatchingDocument",
        Reaction.FATAL_CONFIGURATION,
        "an image is required and the server has none: enable changeStreamPreAndPostImages on the "
        "collection, or ask for it when_available",
    ),
    Row(72, "InvalidOptions", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(
        73, "InvalidNamespace", Reaction.FATAL_CONFIGURATION, "the server gives no changes of this namespace"
    ),
    Row(148, "ReadConcernMajorityNotEnabled", Reaction.FATAL_CONFIGURATION),
    Row(376, "ChangeStreamNotEnabled", Reaction.FATAL_CONFIGURATION),
    Row(8000, "AtlasError", Reaction.FATAL_CONFIGURATION, "the server refuses the name or the password"),
    Row(40324, "UnrecognizedStage", Reaction.FATAL_CONFIGURATION, _PIPELINE),
    Row(40415, "UnknownField", Reaction.FATAL_CONFIGURATION, "this server is too old for an option"),
    Row(
        40573,
        "NotAReplicaSet",
        Reaction.FATAL_CONFIGURATION,
        "the server is a standalone server; change streams need a replica set",
    ),
)

_ROWS: Final = {row.code: row for row in TABLE}

LABELS: Final = {
    "NonResumableChangeStreamError": Reaction.REOPEN_AT_CLUSTER_TIME,
    "ResumableChangeStreamError": Reaction.RESUME,
}
"""What the server's labels of an error ask for whose code is in no row. The second says no more than what is
done anyway."""

_LONGEST: Final = 300
_BESIDE: Final = re.compile(r" \(configured timeouts: .*?\)|, full error: .*|, Timeout: .*", re.DOTALL)
"""What the driver adds for its own developers."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed command, understood.

    Args:
        reaction: What to do about it.
        code: The server's number for it; None where the server did not answer.
        known: Whether a row or a label says so, and not the want of one.
        reason: One line for people: never a document, never a secret.
        said: The server's or the driver's own words, which may quote a filter or a document.
    """

    reaction: Reaction
    code: int | None
    known: bool
    reason: str
    said: str


def failure_of(error: PyMongoError) -> Failure:
    """Classify what a command raised."""
    details = getattr(error, "details", None) or {}
    code = details.get("code")
    if isinstance(error, DriverConfigurationError):
        reaction = Reaction.RESUME if _is_of_dns(error) else Reaction.FATAL_CONFIGURATION
        return Failure(reaction, None, known=True, reason=_words(error), said=_words(error))
    if not isinstance(code, int):  # no answer: the network, or no primary now
        known = not isinstance(error, OperationFailure)
        return Failure(Reaction.RESUME, None, known=known, reason=_words(error), said=_words(error))
    said = str(details.get("errmsg", ""))[:_LONGEST]
    row = _ROWS.get(code)
    if row is None:
        reaction = _by_labels(details.get("errorLabels"))
        name = str(details.get("codeName", "unknown error"))
        return Failure(reaction, code, reaction is not Reaction.RESUME, f"{name} ({code})", said)
    meaning = f": {row.meaning}" if row.meaning else ""
    return Failure(row.reaction, code, known=True, reason=f"{row.name} ({code}){meaning}", said=said)


def _is_of_dns(error: DriverConfigurationError) -> bool:
    """Whether a ``mongodb+srv`` name could not be looked up, which the driver calls a mistake of the URI."""
    return type(error.__cause__).__module__.startswith("dns.")


def _by_labels(labels: object) -> Reaction:
    """An unknown error."""
    given = labels if isinstance(labels, list) else []
    return next((reaction for label, reaction in LABELS.items() if label in given), Reaction.RESUME)


def _words(error: PyMongoError) -> str:
    return _BESIDE.sub("", str(error))[:_LONGEST]
