"""What an HTTP answer means for the message that was sent: decided here, without I/O.

====================  ================  =====================================================
2xx                                     delivered
3xx                   server            retry, failed: never followed, since a signed message is
                                        for one receiver
401, 403              unauthorised      retry, unauthorised
408                   timeout           retry, failed: the server asks for the same request again
413                   too large         rejected
425                   throttled         retry, failed: the server asks for the same request later
429                   throttled         retry, unavailable
503                   server            retry, unavailable
any other 4xx         rejected          rejected, 410 included
504                   timeout           retry, failed
500 and up            server            retry, failed
====================  ================  =====================================================

A redirect is mostly the endpoint's misconfiguration, the same for every event. As *failed* it opens the
circuit while nothing gets through, and spends the budget of one event only while others are delivered. As
*rejected* it would park everything there is until somebody looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from yarl import URL

from eventbus.sdk import DELIVERED, Failure, Fault, Outcome, Rejected, Retry

__all__ = ["Answer", "outcome_of_answer", "retry_after_secs"]

_LONGEST_WAIT_SECS: Final = 3600.0
_FAULTS: Final = {
    401: Fault.UNAUTHORISED,
    403: Fault.UNAUTHORISED,
    408: Fault.FAILED,
    425: Fault.FAILED,
    429: Fault.UNAVAILABLE,
    503: Fault.UNAVAILABLE,
}
"""Statuses that ask for another try; those from 500 that are not here are failures."""
_KINDS: Final = {
    401: Failure.UNAUTHORISED,
    403: Failure.UNAUTHORISED,
    408: Failure.TIMEOUT,
    413: Failure.TOO_LARGE,
    425: Failure.THROTTLED,
    429: Failure.THROTTLED,
    504: Failure.TIMEOUT,
}
"""What kind of failure a status is, where that is not the kind of its hundred."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What matters of an HTTP answer.

    Args:
        status: The status code.
        retry_after: The header ``Retry-After``, if there is one.
        location: The header ``Location``, if there is one.
        excerpt: The beginning of the content, without secrets and control characters.
    """

    status: int
    retry_after: str | None = None
    location: str | None = None
    excerpt: str = ""


def outcome_of_answer(answer: Answer, now: datetime) -> Outcome:
    """The outcome of the attempt that got `answer` at `now` (aware of its time zone)."""
    status = answer.status
    if 200 <= status < 300:
        return DELIVERED
    said = _said(status)
    if 300 <= status < 400:
        target = _host_of(answer.location)
        return Retry(Fault.FAILED, f"{said}, to {target}: redirects are not followed, change the url")
    if 400 <= status < 500 and status not in _FAULTS:
        kind = _KINDS.get(status, Failure.REJECTED)
        return Rejected(f"{said}: {answer.excerpt}" if answer.excerpt else said, kind)
    fault, kind = _FAULTS.get(status, Fault.FAILED), _KINDS.get(status, Failure.SERVER)
    return Retry(fault, said, retry_after_secs(answer.retry_after, now), kind)


def retry_after_secs(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for, as a number or as a date, between nothing and an hour.

    Returns:
        None if there is no such header, or none that can be understood.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]+", value.strip()):
        digits = value.strip().lstrip("0")
        return min(float(digits[:6] or 0), _LONGEST_WAIT_SECS)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _LONGEST_WAIT_SECS)


def _said(status: int) -> str:
    """The status in words of our own: the server's phrase may hold anything."""
    try:
        return f"answered {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"answered {status}"


def _host_of(location: str | None) -> str:
    """Where a redirect points, without path and query, which may hold secrets."""
    if location is None:
        return "nowhere"
    try:
        host = URL(location).host
    except ValueError:
        return "an invalid address"
    return host or "another path of the same host"
