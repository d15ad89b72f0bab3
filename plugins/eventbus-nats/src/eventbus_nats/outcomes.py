"""What an answer of JetStream, or none, means for a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nats.errors import BadSubjectError, MaxPayloadError, NoRespondersError
from nats.js.errors import APIError, NoStreamResponseError

from eventbus.sdk import Failure, Fault, Outcome, Rejected, Retry
from eventbus_nats.connection import reason_of

__all__ = ["LOST", "NO_STREAM", "STRANGE", "outcome_of", "unacknowledged"]

LOST: Final = Retry(
    Fault.UNAVAILABLE, "the connection was lost before the acknowledgement", kind=Failure.NETWORK
)
NO_STREAM: Final = Retry(
    Fault.UNAVAILABLE, "no stream takes this subject, or JetStream is away: make a stream, or mend `subject`"
)
STRANGE: Final = Retry(Fault.FAILED, "what answered is no stream: who else listens to this subject?")

_REFUSED: Final[Mapping[int, Failure]] = {
    10054: Failure.TOO_LARGE,  # the stream's max_msg_size
    10060: Failure.REJECTED,  # the subject is another stream's
    10097: Failure.TOO_LARGE,  # headers
}
"""By error code of JetStream: what no other try will change."""
_IN_PROCESS: Final = 10158
"""A cluster has not yet agreed on the message of this id that came before: it will."""


def outcome_of(error: Exception) -> Outcome:
    """What an error of one publish means."""
    match error:
        case APIError():
            return _by_code(error)
        case NoStreamResponseError() | NoRespondersError():
            return NO_STREAM
        case MaxPayloadError():
            return Rejected(reason_of(error), Failure.TOO_LARGE)
        case BadSubjectError():
            return Rejected("a value gives a subject that NATS does not take")
    return Retry(Fault.UNAVAILABLE, reason_of(error), kind=Failure.NETWORK)


def _by_code(error: APIError) -> Outcome:
    said = f"JetStream: {error.description or type(error).__name__} ({error.err_code})"
    if error.err_code == _IN_PROCESS:
        return Retry(Fault.UNAVAILABLE, said)
    refused = _REFUSED.get(error.err_code or 0)
    if refused is not None:
        return Rejected(said, refused)
    return Retry(Fault.UNAVAILABLE if (error.code or 0) >= 500 else Fault.FAILED, said)


def unacknowledged(trouble: str) -> Retry:
    """What it means that no acknowledgement came in time: the server drops what it does not allow.

    Args:
        trouble: The last thing that the server complained of.
    """
    if "permissions violation for publish" in trouble.lower():
        return Retry(Fault.UNAUTHORISED, "the server does not let us publish", kind=Failure.UNAUTHORISED)
    return Retry(Fault.FAILED, "no acknowledgement in time", kind=Failure.TIMEOUT)
