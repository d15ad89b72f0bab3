"""What an error of the client or a broker means for the messages of a batch, in one table."""

from __future__ import annotations

from typing import Final

from aiokafka.errors import (
    AuthenticationFailedError,
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    InvalidProducerEpoch,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    QuotaViolationError,
    RecordListTooLargeError,
    RecordTooLargeError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownProducerId,
    UnsupportedSaslMechanismError,
)

from eventbus.sdk import Failure, Fault, Outcome, Rejected, Retry

__all__ = ["concerns_single_messages", "outcome_of"]

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
_REJECTED: Final = (InvalidTopicError, *_TOO_LARGE)
_UNAUTHORISED: Final = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
_KINDS: Final = {
    Failure.TOO_LARGE: _TOO_LARGE,
    Failure.REJECTED: (InvalidTopicError,),
    Failure.UNAUTHORISED: _UNAUTHORISED,
    Failure.TIMEOUT: (KafkaTimeoutError, RequestTimedOutError),
    Failure.THROTTLED: (QuotaViolationError,),
    Failure.SERVER: (BrokerResponseError,),
}
"""The first that fits holds."""
_OF_THE_SEQUENCE: Final = (InvalidProducerEpoch, OutOfOrderSequenceNumber, UnknownProducerId)
"""An earlier batch failed or the producer was replaced: nothing was said about the messages."""


def outcome_of(error: KafkaError) -> Outcome:
    """What a failed batch of one message means for it.

    Only a broker's own answer about the batch spends a budget; whatever the client says by itself, or what
    the broker says of its own state, does not.
    """
    reason = f"Kafka: {error}"
    if isinstance(error, _REJECTED):
        return Rejected(reason, _kind(error))
    if isinstance(error, _UNAUTHORISED):
        return Retry(Fault.UNAUTHORISED, reason, kind=_kind(error))
    answered = isinstance(error, BrokerResponseError) and not isinstance(error, _OF_THE_SEQUENCE)
    fault = Fault.FAILED if answered and not error.retriable else Fault.UNAVAILABLE
    return Retry(fault, reason, kind=_kind(error))


def _kind(error: KafkaError) -> Failure:
    for kind, errors in _KINDS.items():
        if isinstance(error, errors):
            return kind
    return Failure.NETWORK  # whatever is no broker's answer


def concerns_single_messages(error: KafkaError) -> bool:
    """Whether a part of a failed batch may be taken: brokers judge a batch as a whole.

    An unknown error may be about the brokers as well; trying it out on parts costs little, and blaming all
    for one costs their deliveries.
    """
    outcome = outcome_of(error)
    if isinstance(outcome, Rejected):
        return not isinstance(error, InvalidTopicError)
    return isinstance(outcome, Retry) and outcome.fault is Fault.FAILED
