"""What goes wrong before there is an answer, as outcomes: the one place that knows the client's errors.

Reasons are made of our own words and the system's error texts. The library's texts are not used, since some
of them hold the URL.
"""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from eventbus.sdk import Failure, Fault, Retry

__all__ = ["connecting_failed", "outcome_of_error"]


def outcome_of_error(error: aiohttp.ClientError | OSError) -> Retry:
    """The outcome of an attempt that ended in `error`.

    Unknown errors are tried again; they spend the event's budget, so that none of them can last for ever.
    """
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return Retry(Fault.UNAVAILABLE, _connection_lost(error), kind=Failure.NETWORK)
    if isinstance(error, aiohttp.ClientResponseError):
        return Retry(Fault.FAILED, "the answer is not valid HTTP")
    return Retry(Fault.FAILED, type(error).__name__)


def _connection_lost(error: aiohttp.ClientConnectionError | OSError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return connecting_failed(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return connecting_failed(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case OSError():
            return f"connection lost: {_text(error)}"
        case _:
            return "connection lost"


def connecting_failed(error: BaseException) -> str:
    """Why there is no connection."""
    match error:
        case socket.gaierror():
            return f"the host name does not resolve: {_text(error)}"
        case ssl.SSLCertVerificationError():
            return f"TLS: the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or 'handshake failed'}"
        case OSError():
            return f"cannot connect: {_text(error)}"
        case _:
            return "cannot connect"


def _text(error: OSError) -> str:
    """The system's text for an error; of several addresses that failed, the first one's."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown reason"
    if error.errno:
        return os.strerror(error.errno)
    match error.__cause__:
        case OSError() as cause:
            return _text(cause)
        case ExceptionGroup(exceptions=(OSError() as first, *_)):
            return _text(first)
        case _:
            return "no address answers"
