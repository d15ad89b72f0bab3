"""The admin API keeps what its OpenAPI document promises, whatever comes: no failure, nothing undescribed."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from eventbus.api.application import ENDPOINTS
from tests.api.caller import WRITE
from tests.api.conftest import EVENT_ID, Installation

pytestmark = pytest.mark.services

NAMES = {"subscription": "orders", "route": "feed", "sink": "hook", "letter": EVENT_ID}
MOMENTS = {"to": "now", "from": "-1m"}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    not_a_server_error,
]
EXAMPLES = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(installation: Installation) -> Any:
    """The document of the running daemon."""
    return schemathesis.openapi.from_dict(installation.caller.get("/v1/openapi.json").json)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all."""
    with requests.Session() as found:
        yield found


@pytest.fixture(scope="module")
def names(installation: Installation) -> dict[str, str]:
    """What is there, by the parameter that names it."""
    made = installation.caller.post("/v1/subscriptions/products/routes/feed/replay", {"from": "-1m"})
    return {**NAMES, "operation": made.json["operation"]["id"]}


def _with_what_is_there(case: Any, names: dict[str, str]) -> None:
    """Every other time, what is there is meant, and a moment that there was: else little would be done."""
    if zlib.crc32(repr((case.path_parameters, case.body)).encode()) % 2:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = names[name]
        if isinstance(case.body, dict):
            is_move = "from" not in case.body
            case.body.update({name: MOMENTS[name] for name in MOMENTS if name in case.body})
            if not is_move:
                case.body.pop("to", None)


def _how_many(operation: Any, forbidden: bool) -> int:
    """Where nothing can be varied, one example says all."""
    if not (operation.path_parameters or operation.query or operation.body):
        return 1
    return 3 if forbidden else 5


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
def test_whatever_comes(
    installation: Installation, schema: Any, names: dict[str, str], session: requests.Session, mode: Any
) -> None:
    """What the document allows, of which some of each kind is granted; what it forbids is refused."""
    forbidden = mode is GenerationMode.NEGATIVE
    found = [*CHECKS, *([checks.negative_data_rejection] if forbidden else [])]
    statuses: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()

        def ask(case: Any) -> None:
            if not forbidden:
                _with_what_is_there(case, names)
            headers = {"Authorization": f"Bearer {WRITE}"}
            url = f"http://127.0.0.1:{installation.caller.port}"
            response = case.call(base_url=url, headers=headers, session=session)
            statuses.setdefault(case.operation.label, set()).add(response.status_code)
            case.validate_response(response, checks=found)

        with contextlib.suppress(Unsatisfiable):  # there is nothing to be wrong in a path without parameters
            examples = settings(EXAMPLES, max_examples=_how_many(operation, forbidden))
            examples(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    if not forbidden:
        assert len(statuses) == len(ENDPOINTS)
        nothing_granted = [label for label, seen in statuses.items() if not seen & {200, 202}]
        assert nothing_granted in ([], ["POST /v1/operations/{operation}/cancel"]), "it may be over already"
