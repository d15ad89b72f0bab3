"""The OpenAPI 3.1 document, made of the models that check requests and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from eventbus import __version__
from eventbus.api.endpoints import Endpoint
from eventbus.api.problems import CODES, MEDIA_TYPE, Problem

__all__ = ["PREFIX", "document"]

PREFIX: Final = "/v1"

_REFERENCE: Final = "#/components/schemas/{model}"
_OF_ALL: Final = (
    *("malformed", "unauthenticated", "forbidden", "invalid", "too_many_requests", "failed", "busy"),
    "timed_out_reading",
)
_OF_BODIES: Final = ("too_large", "unsupported_media_type")
_REQUEST_ID: Final = {
    "X-Request-Id": {
        "description": "Names the request in the daemon's log; one that was sent comes back.",
        "schema": {"type": "string"},
    }
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document.

    Args:
        endpoints: All that there are.
    """
    schemas, definitions = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "eventbus",
            "version": __version__,
            "description": "What operators ask a running eventbus, and want of it.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of server.tokens. All methods but GET need one of scope write.",
                }
            },
        },
    }


_Schemas: TypeAlias = Mapping[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def _schemas(endpoints: Sequence[Endpoint]) -> tuple[_Schemas, dict[str, Any]]:
    """References to models, and the definitions that they lead to."""
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.body is not None:
            models[endpoint.body, "validation"] = None
        if endpoint.answer is not None:
            models[endpoint.answer, "serialization"] = None
    schemas, whole = models_json_schema(list(models), ref_template=_REFERENCE)
    return cast("_Schemas", schemas), whole["$defs"]


def _operation(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, schemas),
        "x-scope": endpoint.scope,
    }
    if endpoint.body is not None:
        schema = schemas[endpoint.body, "validation"]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(endpoint: Endpoint) -> Sequence[dict[str, Any]]:
    schema = endpoint.params.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "path" if name in endpoint.in_path else "query",
            "required": name in endpoint.in_path or name in required,
            "description": one.get("description", ""),
            "schema": _written({k: v for k, v in one.items() if k not in {"description", "title"}}),
        }
        for name, one in schema.get("properties", {}).items()
    ]


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """What may stand in an address: a parameter that is absent is left out, it is not null."""
    options = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    found = {**schema, **options[0]} if len(options) == 1 else dict(schema)
    if len(options) == 1:
        del found["anyOf"]
    if found.get("default", ...) is None:
        del found["default"]
    return found


def _responses(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    if endpoint.answer is None:
        content = {"application/x-ndjson": {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": schemas[endpoint.answer, "serialization"]}}
    found: dict[str, Any] = {
        str(endpoint.status): {"description": "Done.", "headers": _REQUEST_ID, "content": content}
    }
    codes = [*_OF_ALL, *(_OF_BODIES if endpoint.body is not None else ()), *endpoint.refusals]
    for code in codes:
        status, title = CODES[code]
        known = found.setdefault(
            str(status.value),
            {
                "description": "",
                "headers": _REQUEST_ID,
                "content": {MEDIA_TYPE: {"schema": schemas[Problem, "serialization"]}},
            },
        )
        known["description"] = f"{known['description']} {title} (`{code}`).".strip()
    return dict(sorted(found.items()))
