"""What an endpoint of the admin API is: a path, the models of what comes and goes, and who answers.

The models check requests and answers, and the OpenAPI document is made of them: there is no other one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from eventbus.api.access import Caller
from eventbus.api.reach import Reach
from eventbus.config import Config

__all__ = ["Answer", "Call", "Endpoint", "Lines", "Nothing", "Params", "Wish"]

Lines: TypeAlias = AsyncGenerator[bytes, None]
"""An answer of lines, each one a JSON object, that is sent while it is made."""


class Answer(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, serialize_by_alias=True)


class Params(BaseModel):
    """Base of what stands in a path and in a query, which is text: numbers in it are read as such."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class Wish(BaseModel):
    """Base of bodies: unknown keys are errors, and nothing is converted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


class Nothing(Params):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, on its way.

    Args:
        config: What the daemon runs.
        reach: The servers that an answer may need.
        caller: Who asks.
    """

    config: Config
    reach: Reach
    caller: Caller

    @property
    def by(self) -> str:
        """Who asks, for whoever looks at what was stored."""
        return f"{self.caller.name}@{self.config.daemon.instance}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Args:
        method: The method.
        path: The path below ``/v1``, with names of parameters in braces.
        name: Names it in the OpenAPI document, in logs and in metrics.
        summary: What it does, for people.
        handler: Answers: it is given the call, the parameters and the body.
        answer: The model of the answer; None for lines.
        params: The model of what stands in the path and the query.
        body: The model of the body; None if there is none.
        status: The status of the answer.
        refusals: Codes of problems that it may have beside those that all have.
        waits: Whether it does nothing but wait for others: then it takes no place of those that work.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    handler: Callable[[Call, Any, Any], Awaitable[Any]]
    answer: type[BaseModel] | None
    params: type[Params] = Nothing
    body: type[Wish] | None = None
    status: int = 200
    refusals: Sequence[str] = ()
    waits: bool = False

    @property
    def scope(self) -> Literal["read", "write"]:
        """What a token must allow."""
        return "read" if self.method == "GET" else "write"

    @property
    def in_path(self) -> frozenset[str]:
        """The parameters that stand in the path."""
        return frozenset(re.findall(r"\{(\w+)", self.path))
