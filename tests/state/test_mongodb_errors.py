"""What each failure of MongoDB asks of whoever uses the store."""

from __future__ import annotations

import dns.exception
import pytest
from pymongo import errors

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.state.mongodb_errors import errors_mapped, only_duplicates


def answered(code: int, text: str = "text of the server", **details: object) -> errors.OperationFailure:
    return errors.OperationFailure(text, code, {"code": code, "errmsg": text, **details})


def bulk(*codes: int, concern: int | None = None) -> errors.BulkWriteError:
    return errors.BulkWriteError(
        {
            "writeErrors": [{"index": 0, "code": code, "errmsg": "m"} for code in codes],
            "writeConcernErrors": [] if concern is None else [{"code": concern, "errmsg": "m"}],
        }
    )


def of_dns() -> errors.ConfigurationError:
    error = errors.ConfigurationError("The DNS operation timed out")
    error.__cause__ = dns.exception.FormError.__new__(dns.exception.FormError)
    return error


PASSING = [
    errors.ServerSelectionTimeoutError("refused"),
    errors.AutoReconnect("reset"),
    errors.NetworkTimeout("timed out"),
    errors.NotPrimaryError("not primary", {"code": 10107}),
    errors.WaitQueueTimeoutError("pool"),
    errors.ExecutionTimeout("operation exceeded time limit", 50, {"code": 50}),
    errors.WTimeoutError("w", 64, {"code": 64}),
    errors.WriteConcernError("w", 91, {"code": 91}),
    bulk(concern=64),
    bulk(189, 11600),
    bulk(112, concern=91),
    answered(14031),
    answered(11601, "operation was interrupted"),
    answered(99999, errorLabels=["RetryableWriteError"]),
    answered(99999, errorLabels=["TransientTransactionError"]),
    of_dns(),
]
REFUSED = [
    answered(18, "Authentication failed for user s3cret"),
    answered(13, "not authorized to execute command { update: s3cret }"),
    answered(8000, "bad auth : s3cret"),
    answered(20),
    bulk(13, 13),
    errors.InvalidURI("Port must be an integer between 0 and 65535: 's3cret'"),
    errors.ConfigurationError("Unknown option in mongodb://u:s3cret@h/"),
]
BUGS = [answered(2), answered(9), answered(10334), bulk(2), bulk(2, 189), errors.InvalidOperation("closed")]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_can_pass_is_waited_for(error: errors.PyMongoError) -> None:
    with pytest.raises(Unreachable) as caught, errors_mapped():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_what_the_operator_must_change_says_so_without_secrets(error: errors.PyMongoError) -> None:
    with pytest.raises(ConfigurationError) as caught, errors_mapped():
        raise error
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", BUGS, ids=repr)
def test_a_bug_stays_what_it_is(error: errors.PyMongoError) -> None:
    with pytest.raises(type(error)), errors_mapped():
        raise error


def test_the_text_is_one_short_line_without_the_drivers_noise() -> None:
    said = (
        "h:1: refused (configured timeouts: connectTimeoutMS: 1.0ms), Timeout: 4s, Topology Description: <…>"
    )
    with pytest.raises(Unreachable) as caught, errors_mapped():
        raise errors.ServerSelectionTimeoutError(said)
    assert str(caught.value) == "the state store does not answer: h:1: refused"
    with pytest.raises(Unreachable) as caught, errors_mapped():
        raise errors.AutoReconnect("a mongodb://u:s3cret@h/\n" + "x" * 1000)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_only_duplicates_means_nothing_else_failed() -> None:
    assert only_duplicates(bulk(11000, 11000))
    assert not only_duplicates(bulk(11000, 2))
    assert not only_duplicates(bulk(11000, concern=64))
