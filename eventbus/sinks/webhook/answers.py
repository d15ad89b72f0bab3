"""What an HTTP answer means for the message that was sent: decided here, without I/O.

====================  ================  =====================================================
2xx                                     delivered
3xx                   server            retry, failed: never followed, since a signed message is
                                        for one receiver
401, 403              unauthorised      retry, unauthorised
408                   timeout           retry, failed: the server asks for the same request again
410                   rejected          retry, and the route is paused: nobody is there any more
413                   too large         rejected
425                   throttled         retry, failed: the server asks for the same request later
429                   throttled         retry, unavailable
503                   server            retry, unavailable
any other 4xx         rejected          rejected
504                   timeout           retry, failed
500 and up            server            retry, failed
====================  ================  =====================================================

A redirect is mostly the endpoint's misconfiguration, the same for every event. As *failed* it opens the
circuit while nothing gets through, and spends the budget of one event only while others are delivered. As
*rejected* it would park everything there is until somebody looks.

Users may decide otherwise for a status, or for a hundred of them. Whatever they decide, no event is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from yarl import URL

from eventbus.http.retry_after import retry_after_secs
from eventbus.http.statuses import answered
from eventbus.sdk import DELIVERED, Failure, Fault, Outcome, Rejected, Retry

__all__ = ["Answer", "Reaction", "outcome_of_answer"]


class Reaction(StrEnum):
    """What an answer leads to."""

    DELIVERED = "delivered"
    """The receiver has the event, for instance since an earlier attempt."""
    RETRY = "retry"
    """Try again; that spends the event's tries while others get through."""
    WAIT = "wait"
    """Try again, at no event's cost: the receiver is not there."""
    PARK = "park"
    """A dead letter at once."""
    PAUSE = "pause"
    """The route is paused until an operator resumes it, and then the event is tried again."""


_REACTIONS: Final = {
    408: Reaction.RETRY,
    410: Reaction.PAUSE,
    425: Reaction.RETRY,
    429: Reaction.WAIT,
    503: Reaction.WAIT,
}
"""Where the reaction is not the one to its hundred."""
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


def outcome_of_answer(
    answer: Answer, now: datetime, decided: Mapping[str, Reaction] | None = None
) -> Outcome:
    """The outcome of the attempt that got `answer`.

    Args:
        answer: What was answered.
        now: When, aware of its time zone.
        decided: What users decided, by status (``404``) or by hundred (``4xx``); the former wins.
    """
    status = answer.status
    if 200 <= status < 300:
        return DELIVERED
    chosen = (decided or {}).get(str(status)) or (decided or {}).get(f"{status // 100}xx")
    if chosen is None and status in {401, 403}:
        return _retry(answer, now, Fault.UNAUTHORISED)
    match chosen or _REACTIONS.get(status) or _of_its_hundred(status):
        case Reaction.DELIVERED:
            return DELIVERED
        case Reaction.RETRY | Reaction.WAIT as reaction:
            fault = Fault.FAILED if reaction is Reaction.RETRY else Fault.UNAVAILABLE
            return _retry(answer, now, fault)
        case Reaction.PARK:
            said = _said(answer)
            return Rejected(f"{said}: {answer.excerpt}" if answer.excerpt else said, _kind(status))
        case Reaction.PAUSE:
            return Retry(
                Fault.UNAVAILABLE, _said(answer), kind=_kind(status), detail=answer.excerpt, pauses=True
            )
        case reaction:
            assert_never(reaction)


def _retry(answer: Answer, now: datetime, fault: Fault) -> Retry:
    after_secs = retry_after_secs(answer.retry_after, now)
    return Retry(fault, _said(answer), after_secs, _kind(answer.status), detail=answer.excerpt)


def _of_its_hundred(status: int) -> Reaction:
    return Reaction.PARK if 400 <= status < 500 else Reaction.RETRY


def _kind(status: int) -> Failure:
    return _KINDS.get(status) or (Failure.REJECTED if 400 <= status < 500 else Failure.SERVER)


def _said(answer: Answer) -> str:
    said = answered(answer.status)
    if not 300 <= answer.status < 400:
        return said
    return f"{said}, to {_host_of(answer.location)}: redirects are not followed, change the url"


def _host_of(location: str | None) -> str:
    """Where a redirect points, without path and query, which may hold secrets."""
    if location is None:
        return "nowhere"
    try:
        host = URL(location).host
    except ValueError:
        return "an invalid address"
    return host or "another path of the same host"
