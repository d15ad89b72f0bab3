"""Refusals of the admin API, as RFC 9457 has them: each with a code that stays, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CODES", "MEDIA_TYPE", "Fault", "Problem", "Refused", "answered"]

MEDIA_TYPE: Final = "application/problem+json"

CODES: Final[Mapping[str, tuple[HTTPStatus, str]]] = {
    "malformed": (HTTPStatus.BAD_REQUEST, "The body is no JSON"),
    "unauthenticated": (HTTPStatus.UNAUTHORIZED, "A token is needed"),
    "forbidden": (HTTPStatus.FORBIDDEN, "The token may only look"),
    "wrong_host": (HTTPStatus.FORBIDDEN, "The server is not called by this name"),
    "cross_origin": (HTTPStatus.FORBIDDEN, "Pages of the web may not ask"),
    "not_found": (HTTPStatus.NOT_FOUND, "There is no such thing"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The path does not take this method"),
    "timed_out_reading": (HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time"),
    "conflict": (HTTPStatus.CONFLICT, "Something is in the way"),
    "too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A body is application/json"),
    "invalid": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    "too_many_requests": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "failed": (HTTPStatus.INTERNAL_SERVER_ERROR, "The daemon failed"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "A server that is needed does not answer"),
    "busy": (HTTPStatus.SERVICE_UNAVAILABLE, "Too much is asked at once"),
}
"""Status and title by code."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    path: str
    """Where it is, such as body.rate."""
    message: str
    """What is wrong."""


class Problem(BaseModel):
    """Why a request was refused, as RFC 9457 has it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    type: str
    """A URI that stays the same for this kind of problem."""
    title: str
    """The kind of problem, for people."""
    status: int
    """The status of the answer."""
    detail: str
    """What is wrong and what to do, for people."""
    code: str
    """The kind of problem, for programs."""
    request_id: str
    """Names the request in the daemon's log."""
    errors: list[Fault] = Field(default_factory=list)
    """Each thing that is wrong with the request."""


@dataclass(frozen=True, slots=True)
class _Reason:
    code: str
    detail: str
    faults: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request is refused.

    Args:
        code: One of `CODES`.
        detail: What is wrong and what to do.
        faults: Where it is wrong, and how.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        faults: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = _Reason(code, detail, faults, headers or {})


def answered(refused: Refused, request_id: str) -> web.Response:
    """The answer that says so."""
    reason = refused.reason
    status, title = CODES[reason.code]
    problem = Problem(
        type=f"urn:eventbus:problem:{reason.code}",
        title=title,
        status=status,
        detail=reason.detail,
        code=reason.code,
        request_id=request_id,
        errors=[Fault(path=path, message=message) for path, message in reason.faults],
    )
    return web.Response(
        status=status,
        body=problem.model_dump_json().encode(),
        content_type=MEDIA_TYPE,
        headers=dict(reason.headers),
    )
