"""What comes with a request, read and checked against the models of its endpoint."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import orjson
from aiohttp import web
from pydantic import ValidationError

from eventbus.api.endpoints import Endpoint, Params, Wish
from eventbus.api.problems import Refused

__all__ = ["body_of", "params_of"]

_BODY_SECS = 10.0


def params_of(request: web.Request, endpoint: Endpoint) -> Params:
    """What stands in the path and the query.

    Raises:
        Refused: It is not what the endpoint takes.
    """
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    if twice:
        raise Refused(
            "invalid",
            "a parameter is given more than once",
            faults=[(f"query.{name}", "given more than once") for name in twice],
        )
    in_both = sorted(endpoint.in_path & set(request.query))
    if in_both:
        raise Refused(
            "invalid",
            "a parameter of the path stands in the query",
            faults=[(f"query.{name}", "stands in the path") for name in in_both],
        )
    try:
        return endpoint.params.model_validate({**request.query, **request.match_info})
    except ValidationError as error:
        raise _invalid(error, lambda name: "path" if name in endpoint.in_path else "query") from None


async def body_of(request: web.Request, endpoint: Endpoint) -> Wish | None:
    """The body, if the endpoint takes one.

    Raises:
        Refused: It is not what the endpoint takes, or it does not come.
    """
    try:
        with anyio.fail_after(_BODY_SECS):
            written = await request.read()
    except TimeoutError:
        raise Refused("timed_out_reading", f"it must be there within {_BODY_SECS:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refused("too_large", "a body has at most 64 KiB") from None
    except (web.HTTPException, web.RequestPayloadError):
        raise Refused("malformed", "the body could not be read") from None
    if endpoint.body is None:
        if written and written.strip() not in {b"{}", b""}:
            raise Refused("invalid", "this request takes no body", faults=[("body", "must be absent")])
        return None
    if request.content_type != "application/json":
        raise Refused("unsupported_media_type", "send it with 'Content-Type: application/json'")
    try:
        orjson.loads(written)
    except ValueError:
        raise Refused("malformed", "the body is no JSON") from None
    try:
        return endpoint.body.model_validate_json(written)
    except ValidationError as error:
        raise _invalid(error, lambda _: "body") from None


def _invalid(error: ValidationError, where: Callable[[str], str]) -> Refused:
    faults = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        steps = [str(step) for step in one["loc"]]
        root = where(steps[0] if steps else "")
        faults.append((".".join([root, *steps]), one["msg"].removeprefix("Value error, ")))
    return Refused("invalid", "; ".join(f"{path}: {message}" for path, message in faults), faults=faults)
