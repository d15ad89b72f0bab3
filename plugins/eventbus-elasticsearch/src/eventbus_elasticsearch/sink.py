"""The sink: makes messages, sends those of a call as one bulk request, and reads what became of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

import anyio
from pydantic import BaseModel

from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Outcome,
    ProbeStep,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus_elasticsearch.actions import Actions
from eventbus_elasticsearch.cluster import Answer, Cluster, NoAnswer
from eventbus_elasticsearch.options import ElasticsearchOptions
from eventbus_elasticsearch.outcomes import outcome_of_document, outcome_of_request
from eventbus_elasticsearch.probing import greeted, looked_at

__all__ = ["ElasticsearchSink"]

_TOLD: Final = "items.*.status,items.*.error.type,items.*.error.reason,error.type"
_DIVIDED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Answers that refuse a request because of some of its documents, or of their number."""


class ElasticsearchSink:
    """Writes into the indices of one cluster.

    The documents of a request succeed and fail each by itself, so a key is in a call only once: when its
    change fails, what comes behind it has not been sent yet.
    """

    Options: ClassVar[type[BaseModel]] = ElasticsearchOptions
    carries: ClassVar[Carries] = Carries(any_bytes=False)

    def __init__(self, name: str, options: ElasticsearchOptions) -> None:
        self.name = name
        self.traits = SinkTraits(
            lanes=options.concurrency,
            max_batch=options.max_batch,
            max_batch_bytes=options.max_batch_size,
            keeps_order=False,
            concurrency=options.concurrency,
        )
        self._hosts = len(options.hosts)
        self._timeout_secs = options.timeout
        self._actions = Actions(options)
        self._privileges: list[str] = ["create_doc" if options.operation == "create" else "index"]
        if options.operation != "create" and options.deletes == "mirror":
            self._privileges.append("delete")
        self._cluster = Cluster(options)

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; wrong credentials count as unreachable, since they may be mended there."""
        await self._greet()

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._cluster.close()

    async def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`."""
        try:
            yield ProbeStep("connect", True, await self._greet())
        except Unreachable as error:
            yield ProbeStep("connect", False, str(error))
            return
        failed = None
        async for step in looked_at(self._cluster, self._actions.index.constant, self._privileges):
            failed = step if not step.ok else failed
            yield step
        if failed is not None:
            yield ProbeStep("open", False, failed.detail)

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        return self._actions.encode(event, encoder)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        placed = [message for message in messages if message.target]
        outcomes = iter(await self._sent(placed) if placed else [])
        return [next(outcomes) if message.target else DELIVERED for message in messages]

    async def _greet(self) -> str:
        try:
            self._cluster.open()
            return await greeted(self._cluster, self._hosts)
        except Unreachable as error:
            raise Unreachable(f"elasticsearch sink {self.name}: {error}") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"elasticsearch sink {self.name}: {error}") from error

    async def _sent(self, messages: Sequence[Message]) -> list[Outcome]:
        late = Retry(Fault.FAILED, f"no answer within {self._timeout_secs:g} s", kind=Failure.TIMEOUT)
        outcomes: list[Outcome] = [late] * len(messages)
        with anyio.move_on_after(self._timeout_secs) as scope:  # however often a request is divided
            await self._tell(messages, outcomes, 0)
        if scope.cancelled_caught:
            self._cluster.pass_over()
        return outcomes

    async def _tell(self, messages: Sequence[Message], outcomes: list[Outcome], first: int) -> None:
        """Make a request, or several if it is refused, and note what became of its messages."""
        end = first + len(messages)
        try:
            answer = await self._cluster.bulk(b"".join(map(self._actions.lines, messages)), told=_TOLD)
        except NoAnswer as error:
            outcomes[first:end] = [error.outcome] * len(messages)
            return
        if answer.status == HTTPStatus.OK:
            outcomes[first:end] = self._judged(messages, answer)
        elif answer.status in _DIVIDED and len(messages) > 1:
            half = len(messages) // 2
            await self._tell(messages[:half], outcomes, first)
            await self._tell(messages[half:], outcomes, first + half)
        else:
            outcome = outcome_of_request(answer.status, answer.after_secs, answer.json().get("error"))
            outcomes[first:end] = [outcome] * len(messages)

    def _judged(self, messages: Sequence[Message], answer: Answer) -> list[Outcome]:
        items = answer.json().get("items")
        if not isinstance(items, list) or len(items) != len(messages):
            return [Retry(Fault.FAILED, "the answer does not tell of each document")] * len(messages)
        return [self._outcome(message, item) for message, item in zip(messages, items, strict=True)]

    def _outcome(self, message: Message, item: Any) -> Outcome:
        name = self._actions.name_of(message)
        result = item.get(name) if isinstance(item, dict) else None
        if not isinstance(result, dict):
            return Retry(Fault.FAILED, "the answer tells of something else than was asked for")
        return outcome_of_document(name, result, is_versioned=self._actions.is_versioned)
