"""A JSON Schema of files of cases, for editors."""

from __future__ import annotations

from typing import Any

from eventbus.cases.models import CaseFile

__all__ = ["cases_schema"]


def cases_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a file of cases."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return CaseFile.model_json_schema() | {"$schema": dialect, "title": "cases of eventbus"}
