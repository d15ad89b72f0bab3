"""What goes wrong before there is an answer, as outcomes: the one place that knows the system's errors.

Reasons are made of our own words and the system's error texts; none of them holds the URL.
"""

from __future__ import annotations

import os
import socket
import ssl

from eventbus.sdk import Failure, Fault, Retry

__all__ = ["NoReply", "connecting_failed", "lost", "not_http", "silent"]


class NoReply(Exception):
    """An attempt that ended without a reply; no error of ours, but what came of it.

    Args:
        outcome: What that means for the message.
    """

    def __init__(self, outcome: Retry) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def connecting_failed(error: BaseException) -> NoReply:
    """There is no connection, or no TLS session in it."""
    return NoReply(Retry(Fault.UNAVAILABLE, _why_not_connected(error), kind=Failure.NETWORK))


def silent(what: str, secs: float) -> NoReply:
    """Something did not happen in time: `what` says it without a verb, such as ``answer``.

    Without a connection nobody was reached; with one, the target may be busy with just this message.
    """
    reason = f"no {what} within {secs:g} s"
    fault = Fault.UNAVAILABLE if what in _OF_THE_NETWORK else Fault.FAILED
    return NoReply(Retry(fault, reason, kind=Failure.TIMEOUT))


_OF_THE_NETWORK = frozenset({"address", "connection", "TLS session"})


def lost(error: BaseException | None) -> NoReply:
    """The connection ended before there was an answer."""
    reason = "the server closed the connection without an answer"
    if isinstance(error, OSError):
        reason = f"connection lost: {_text(error)}"
    return NoReply(Retry(Fault.UNAVAILABLE, reason, kind=Failure.NETWORK))


def not_http() -> NoReply:
    """What came is no answer. It spends the event's budget, so that it cannot last for ever."""
    return NoReply(Retry(Fault.FAILED, "the answer is not valid HTTP"))


def _why_not_connected(error: BaseException) -> str:
    match error:
        case socket.gaierror():
            return f"the host name does not resolve: {error.strerror or 'unknown reason'}"
        case ssl.SSLCertVerificationError():
            return f"TLS: the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason or 'handshake failed'}"
        case OSError():
            return f"cannot connect: {_text(error)}"
        case _:
            return "cannot connect"


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "no address answers"
