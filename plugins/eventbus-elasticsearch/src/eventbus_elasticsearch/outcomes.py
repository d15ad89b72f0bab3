"""What an answer of the server means, of a whole request or of one document. No I/O.

The server's reasons quote documents, so they are never repeated: only its words for kinds of errors, and the
names of fields and their types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from eventbus.sdk import DELIVERED, Failure, Fault, Outcome, Rejected, Retry

__all__ = ["outcome_of_document", "outcome_of_request"]

_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,80}")
_FIELD: Final = re.compile(
    r"(?:\[\d+:\d+\] )?(?:failed to parse field|object mapping for) "
    r"\[([\w.@-]{1,100})\](?: of type \[(\w+)\])?"
)
_STRICT: Final = re.compile(r"dynamic introduction of \[([\w.@-]{1,100})\]")
_CONFLICT: Final = "version_conflict_engine_exception"

_AWAY: Final = (Fault.UNAVAILABLE, Failure.SERVER, "it, or a part of the index, is away")
_REFUSES_US: Final = (Fault.UNAUTHORISED, Failure.UNAUTHORISED, "it does not let us in, or not write")
_BY_STATUS: Final[Mapping[int, tuple[Fault, Failure, str]]] = {
    HTTPStatus.UNAUTHORIZED: _REFUSES_US,
    HTTPStatus.FORBIDDEN: _REFUSES_US,
    HTTPStatus.REQUEST_TIMEOUT: (Fault.FAILED, Failure.TIMEOUT, "it took too long"),
    HTTPStatus.CONFLICT: (Fault.FAILED, Failure.SERVER, "others write the same document at once"),
    HTTPStatus.TOO_MANY_REQUESTS: (Fault.UNAVAILABLE, Failure.THROTTLED, "it has too much to do"),
    HTTPStatus.BAD_GATEWAY: _AWAY,
    HTTPStatus.SERVICE_UNAVAILABLE: _AWAY,
    HTTPStatus.GATEWAY_TIMEOUT: _AWAY,
}
_BY_KIND: Final[Mapping[str, tuple[Fault, Failure, str]]] = {
    "cluster_block_exception": (
        Fault.UNAVAILABLE,
        Failure.SERVER,
        "the index takes no writes now; is a disk full?",
    ),
    "index_not_found_exception": (
        Fault.FAILED,
        Failure.SERVER,
        "there is no such index, and none may be made: make it, or mend `index`",
    ),
    "index_closed_exception": (Fault.FAILED, Failure.SERVER, "the index is closed: open it"),
    "validation_exception": (
        Fault.UNAVAILABLE,
        Failure.SERVER,
        "the index cannot be made now: has the cluster as many shards as it takes?",
    ),
}
"""By kind of error, before its status: what no try changes until somebody has mended the cluster."""
_BY_REASON: Final[Mapping[str, tuple[Fault, Failure, str]]] = {
    "pipeline with id": (
        Fault.FAILED,
        Failure.SERVER,
        "there is no such ingest pipeline: make it, or mend `pipeline`",
    ),
    "no write index is defined for alias": (
        Fault.FAILED,
        Failure.SERVER,
        "the alias has no index to write to: give it one with is_write_index",
    ),
    "only write ops with an op_type of create are allowed in data streams": (
        Fault.FAILED,
        Failure.SERVER,
        "it is a data stream: write `operation: create`",
    ),
}
"""By how a reason begins, of the kind that says so little: the same for every document."""


def outcome_of_document(name: str, result: Mapping[str, Any], *, is_versioned: bool) -> Outcome:
    """What became of one document.

    Args:
        name: What was asked for: ``index``, ``create``, ``update`` or ``delete``.
        result: What the server says of it.
        is_versioned: Whether it had a version of ours.
    """
    status = result.get("status")
    error = result.get("error")
    if not isinstance(status, int):
        return Retry(Fault.FAILED, "the answer tells no status of the document")
    if status < 300 or (name == "delete" and status == HTTPStatus.NOT_FOUND and not error):
        return DELIVERED
    kind, reason = _parts(error)
    if kind == _CONFLICT and (is_versioned or name == "create"):
        return DELIVERED  # what is there is as new, or newer; or the event is there already
    return _failed(status, kind, reason)


def outcome_of_request(status: int, after_secs: float | None, error: object = None) -> Retry | Rejected:
    """What it means for a request's only document, or for all of them, that the server took none.

    Args:
        status: That of the answer.
        after_secs: How long we are asked to wait, if we are.
        error: What the server says of it, if it says something.
    """
    said = f"the server answered {status}"
    by_kind = _BY_KIND.get(_parts(error)[0])
    if by_kind is not None:
        fault, failure, why = by_kind
        return Retry(fault, f"{said}: {why}", after_secs, failure)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Rejected(f"{said}: larger than `http.max_content_length`", Failure.TOO_LARGE)
    if status == HTTPStatus.BAD_REQUEST:
        return Rejected(f"{said}: it cannot read the document")
    strange = (Fault.UNAVAILABLE, Failure.SERVER, "is this an Elasticsearch or OpenSearch?")
    fault, failure, why = _BY_STATUS.get(status, _it_failed(status) or strange)
    return Retry(fault, f"{said}: {why}", after_secs, failure)


def _failed(status: int, kind: str, reason: str) -> Outcome:
    said = f"{kind or 'no reason'} ({status})"
    of_all = [meaning for begin, meaning in _BY_REASON.items() if reason.startswith(begin)]
    meaning = _BY_KIND.get(kind) or _BY_STATUS.get(status) or _it_failed(status)
    if kind == "illegal_argument_exception" and of_all:
        meaning = of_all[0]
    if meaning is not None:
        fault, failure, why = meaning
        return Retry(fault, f"{said}: {why}", kind=failure)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Rejected(f"{said}: larger than the server takes", Failure.TOO_LARGE)
    return Rejected(f"refused: {said}{_where(reason)}")


def _it_failed(status: int) -> tuple[Fault, Failure, str] | None:
    return (Fault.FAILED, Failure.SERVER, "it failed") if status >= 500 else None


def _parts(error: object) -> tuple[str, str]:
    """The kind of an error and its reason, which is for matching alone."""
    if not isinstance(error, Mapping):
        return "", ""
    kind = str(error.get("type", ""))
    return (kind if _WORD.fullmatch(kind) else ""), str(error.get("reason", ""))


def _where(reason: str) -> str:
    """Which field it is about, if the reason says so."""
    if found := _FIELD.match(reason):
        return f": the field {found[1]}" + (f" of type {found[2]}" if found[2] else "")
    if found := _STRICT.search(reason):
        return f": the mapping is strict and has no field {found[1]}"
    return ""
