"""Says what a failure of MongoDB asks of whoever uses the store: wait, or have the operator change something.

The codes decide, and the driver's own types where no server answered. Whatever is in neither table is a bug
or news to us: it passes through and crashes the subscription, visibly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.errors import ConfigurationError as DriverConfigurationError

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.telemetry.redaction import redact

__all__ = ["INVALID_URI", "errors_mapped", "only_duplicates"]

INVALID_URI: Final = "the state store's URI is not a valid MongoDB URI"

_REFUSED: Final[Mapping[int, str]] = {
    11: "MongoDB knows no such user as the state store's",
    13: "MongoDB does not let the state store's user do this: grant it readWrite on the state database",
    18: "MongoDB refuses the state store's user name or password",
    20: "the state store needs a replica set, and this MongoDB is a standalone server",
    334: "MongoDB does not have the authentication mechanism that the state store's URI names",
    8000: "MongoDB refuses the state store's user name or password",
}
_DUPLICATE_KEY: Final = 11000

# https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
_PASSING: Final = frozenset(
    [
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, SocketException
        *(91, 11600, 11602, 262, 24, 50, 202),  # shutdown, interrupted, out of time
        *(11601, 175, 237, 365),  # an operator or the server killed the operation
        *(189, 10107, 13435, 13436, 10058, 133),  # no primary, or not this one any more
        *(64, 79, 100, 134),  # the write or read concern cannot be met now
        *(14031, 43, 46, 112, 246, 384, 290),  # disk full, cursor gone, locked, in conflict, overloaded
    ]
)
_PASSING_LABELS: Final = frozenset(
    ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"]
)
_TEXT_LIMIT: Final = 300
_NOISE: Final = re.compile(r" \(configured timeouts: [^)]*\)|, Timeout: .*|, full error: .*", re.DOTALL)


@contextmanager
def errors_mapped() -> Iterator[None]:
    """Turn what the driver raises into Unreachable or ConfigurationError; let bugs through."""
    try:
        yield
    except PyMongoError as error:
        mapped = _mapped(error)
        if mapped is None:
            raise
        raise mapped from (error if isinstance(mapped, Unreachable) else None)  # a cause may quote secrets


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether everything that failed was there already."""
    details = error.details
    return not details["writeConcernErrors"] and all(
        failed["code"] == _DUPLICATE_KEY for failed in details["writeErrors"]
    )


def _mapped(error: PyMongoError) -> Unreachable | ConfigurationError | None:
    if isinstance(error, DriverConfigurationError):
        return _of_uri(error)
    codes = _codes(error)
    for code in codes:
        if code in _REFUSED:
            return ConfigurationError(_REFUSED[code])
    if _is_network(error) or (codes and codes <= _PASSING) or _labels(error) & _PASSING_LABELS:
        return Unreachable(f"the state store does not answer: {_text(error)}")
    return None


def _of_uri(error: DriverConfigurationError) -> Unreachable | ConfigurationError:
    if type(error.__cause__).__module__.startswith("dns."):
        return Unreachable(f"the name in the state store's URI cannot be looked up: {_text(error)}")
    if isinstance(error, InvalidURI):  # the driver may quote a password that was not encoded
        return ConfigurationError(INVALID_URI)
    return ConfigurationError(f"the state store's URI: {_text(error)}")


def _is_network(error: PyMongoError) -> bool:
    return isinstance(error, ConnectionFailure | WTimeoutError) or error.timeout


def _codes(error: PyMongoError) -> set[int]:
    """Every code in what the server answered; a bulk write has one for each failed part."""
    details = _details(error)
    parts = [details, *details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    if "writeConcernError" in details:
        parts.append(details["writeConcernError"])
    return {part["code"] for part in parts if "code" in part}


def _labels(error: PyMongoError) -> set[str]:
    return set(_details(error).get("errorLabels", ()))


def _details(error: PyMongoError) -> Mapping[str, Any]:
    details = error.details if isinstance(error, OperationFailure) else None
    return details or {}


def _text(error: PyMongoError) -> str:
    return redact(" ".join(_NOISE.sub("", str(error)).split()))[:_TEXT_LIMIT]
