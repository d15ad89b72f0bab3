"""A sink before which the content of large messages is stored: no message refers to what is not there.

It is a sink itself, so that nothing else needs to know of claims.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile
from typing import ClassVar, Final, Protocol

import anyio
from pydantic import BaseModel

from eventbus.encoding.claims import ClaimCheck
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Claim
from eventbus.sdk import (
    Carries,
    Commit,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Options,
    Outcome,
    Retry,
    Sink,
    TransactionalSink,
    Transactions,
    carried_by,
)

__all__ = ["ClaimStore", "ClaimingSink"]

_STORING_SECS: Final = 2.0
"""How long one call stores content before it sends what is stored so far."""


class ClaimStore(Protocol):
    """Where content is stored."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: Try again later.
            ConfigurationError: Trying again is of no use.
        """

    async def close(self) -> None:
        """Release everything."""

    async def put(self, claim: Claim) -> None:
        """Store content, or keep it for longer if it is there already.

        Raises:
            Unreachable: Try again later.
            ConfigurationError: The store refuses it; it may be mended there.
        """


class ClaimingSink:
    """Stores what the messages of a sink refer to, and then sends them.

    Args:
        sink: The sink.
        claims: Where content is stored; opened and closed with the sink.
    """

    Options: ClassVar[type[BaseModel]] = Options

    def __init__(self, sink: Sink, claims: ClaimStore) -> None:
        self.name = sink.name
        self.traits = sink.traits
        self.carries: Carries = carried_by(sink)
        self._sink = sink
        self._claims = claims

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._claims.open()
        await self._sink.open()

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        try:
            await self._sink.close()
        finally:
            await self._claims.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        message = self._sink.encode(event, encoder)
        if isinstance(message, Message) and isinstance(encoder, ClaimCheck):
            message.claim = encoder.claim(event)
        return message

    def transactions(self, route: str) -> Transactions:
        """See `eventbus.sdk.TransactionalSink`; only where the sink itself has them."""
        assert isinstance(self._sink, TransactionalSink), self.name
        return _ClaimingTransactions(self._sink.transactions(route), self._store)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`; a message whose content is not stored yet waits, and those behind it."""
        failure = await self._store(messages)
        ready = list(takewhile(lambda message: message.claim is None, messages))
        outcomes = await self._sink.send(ready) if ready else []
        return [*outcomes, *[failure] * (len(messages) - len(ready))]

    async def _store(self, messages: Sequence[Message]) -> Retry:
        """Store what is missing, in order and within bounds; why the rest is missing, if it is."""
        begun = anyio.current_time()
        for message in messages:
            if message.claim is None:
                continue
            if anyio.current_time() - begun > _STORING_SECS:
                return Retry(Fault.UNAVAILABLE, "claim check: earlier content was stored first", after_secs=0)
            try:
                await self._claims.put(message.claim)
            except (Unreachable, ConfigurationError) as error:
                return Retry(Fault.UNAVAILABLE, f"claim check: {error}", kind=Failure.NETWORK)
            message.claim = None
        return Retry(Fault.UNAVAILABLE, "claim check: not stored")


class _ClaimingTransactions:
    """Those of one route; a slice waits until all that it refers to is stored."""

    def __init__(
        self, transactions: Transactions, store: Callable[[Sequence[Message]], Awaitable[Retry]]
    ) -> None:
        self._transactions = transactions
        self._store = store

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        return await self._transactions.claim(epoch)

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        failure = await self._store(messages)
        if any(message.claim is not None for message in messages):
            return failure
        return await self._transactions.commit(messages, position)

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`."""
        await self._transactions.close()
