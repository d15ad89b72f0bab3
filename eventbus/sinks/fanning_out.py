"""Before a sink: an event that becomes several messages is delivered when all of them are.

A group is tried again as a whole, so what got through of it comes twice, with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import BaseModel

from eventbus.encoding.items import ItemsEncoder
from eventbus.sdk import (
    DELIVERED,
    Carries,
    Commit,
    Delivered,
    Encoded,
    Encoder,
    Event,
    Message,
    Options,
    Outcome,
    Refused,
    Rejected,
    Retry,
    Sink,
    TransactionalSink,
    Transactions,
    carried_by,
)

__all__ = ["FanOutSink", "Group", "parts_of"]


class Group(Message):
    """The messages of one event.

    Args:
        event: The event.
        parts: At least one.
    """

    __slots__ = ("parts",)

    def __init__(self, event: Event, parts: Sequence[Message]) -> None:
        super().__init__(event, b"".join(part.body for part in parts), key=parts[0].key)
        self.parts = parts


def parts_of(message: Message) -> Sequence[Message]:
    """The messages that go out for one."""
    return message.parts if isinstance(message, Group) else [message]


class FanOutSink:
    """Sends the messages of a group by themselves.

    Args:
        sink: The sink.
    """

    Options: ClassVar[type[BaseModel]] = Options

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self.traits = sink.traits
        self.carries: Carries = carried_by(sink)
        self._sink = sink

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._sink.open()

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._sink.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        if not isinstance(encoder, ItemsEncoder) or event.is_own:
            return self._sink.encode(event, encoder)
        parts: list[Message] = []
        for index, of_item in enumerate(encoder.events(event)):
            part = self._sink.encode(of_item, encoder.of_item)
            if isinstance(part, Rejected):
                return Rejected(f"item {index}: {part.reason}", part.kind)
            parts.append(part)
        return Group(event, parts)

    def transactions(self, route: str) -> Transactions:
        """See `eventbus.sdk.TransactionalSink`; only where the sink itself has them."""
        assert isinstance(self._sink, TransactionalSink), self.name
        return _FanOutTransactions(self._sink.transactions(route))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`: the worst that came of its parts is what came of a group.

        Behind what is to be tried again nothing of its key goes out.
        """
        outcomes: list[Outcome] = [DELIVERED] * len(messages)
        waiting: dict[bytes, Retry] = {}
        for call in self._calls(messages):
            parts: list[tuple[int, Message]] = []
            for index, part in call:
                if isinstance(outcomes[index], Delivered):
                    outcomes[index] = waiting.get(part.event.key, DELIVERED)
                if isinstance(outcomes[index], Delivered):
                    parts.append((index, part))
            answers = await self._sink.send([part for _, part in parts]) if parts else []
            for (index, part), answer in zip(parts, answers, strict=True):
                if isinstance(answer, Retry):
                    waiting[part.event.key] = answer
                if not isinstance(answer, Delivered) and not isinstance(outcomes[index], Rejected):
                    outcomes[index] = answer
        return outcomes

    def _calls(self, messages: Sequence[Message]) -> Iterator[list[tuple[int, Message]]]:
        """Parts that may go out in one call, each with the index of its message, in their order."""
        traits, call, size, keys = self.traits, list[tuple[int, Message]](), 0, set[bytes]()
        for index, message in enumerate(messages):
            for part in parts_of(message):
                is_full = len(call) >= traits.max_batch or size + len(part.body) > traits.max_batch_bytes
                if call and (is_full or (not traits.keeps_order and part.event.key in keys)):
                    yield call
                    call, size, keys = [], 0, set()
                call.append((index, part))
                size += len(part.body)
                keys.add(part.event.key)
        if call:
            yield call


class _FanOutTransactions:
    """Those of one route; a slice has all messages of its groups."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        return await self._transactions.claim(epoch)

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        places = [(index, part) for index, message in enumerate(messages) for part in parts_of(message)]
        answer = await self._transactions.commit([part for _, part in places], position)
        if not isinstance(answer, Refused):
            return answer
        by: dict[int, Rejected | Retry] = {}
        for place, failure in answer.by.items():
            index = places[place][0]
            if not isinstance(by.get(index), Rejected):
                by[index] = failure
        return Refused(by)

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`."""
        await self._transactions.close()
