"""The client's producer, made so that it can be given up for certain.

An idempotent producer of the client tries for ever: its `stop` waits until everything pending is sent, which
an unreachable broker makes endless, and the client has no other end. But a producer that lives on behind our
back would write old messages after newer ones that its successor has sent. So this one can be killed: nothing
of it reaches a broker any more, a closed connection is not even flushed.

This module alone touches the client's private parts: the sender, the accumulator, the sockets. It was written
for 0.12 to 0.14; tests/sinks/test_kafka_outage.py shows on a real broker that it still holds.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import anyio
from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import Sender

from eventbus.sdk import Message

__all__ = ["Producer", "filled", "retrieved"]


class _Sender(Sender):  # type: ignore[misc] # the client has no types
    """Sends batches until it is killed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._requests: set[anyio.CancelScope] = set()
        self._transaction_task: asyncio.Task[Any] | None = None
        self._killed = False

    async def _send_produce_req(self, node_id: int, batches: Any) -> None:
        """One request and what follows it; the client starts a task for each."""
        with anyio.CancelScope() as scope:
            self._requests.add(scope)
            try:
                if not self._killed:
                    await super()._send_produce_req(node_id, batches)
            finally:
                self._requests.discard(scope)

    def _maybe_do_transactional_request(self) -> asyncio.Task[Any] | None:
        """What transactions need beside batches: one task at a time; the sender waits for it at its end."""
        task: asyncio.Task[Any] | None = super()._maybe_do_transactional_request()
        self._transaction_task = task or self._transaction_task
        return task

    def _fail_all(self, task: asyncio.Task[Any]) -> None:
        """The client fails all that waits; and some of that nobody asks, whereof the loop would complain."""
        super()._fail_all(task)
        accumulator = self._message_accumulator
        waiting = [batch for batches in accumulator._batches.values() for batch in batches]
        for future in [batch._drain_waiter for batch in (*waiting, *accumulator._pending_batches)]:
            retrieved(future)

    def kill(self) -> None:
        self._killed = True
        for scope in self._requests:
            scope.cancel()
        for task in (self._transaction_task, self._sender_task):
            if task is not None:
                task.cancel()


class Producer(AIOKafkaProducer):  # type: ignore[misc] # as above
    """An idempotent producer that can be killed."""

    def __init__(self, *, request_timeout_ms: int, **options: Any) -> None:
        super().__init__(
            enable_idempotence=True,
            acks="all",
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            **options,
        )
        self._sender = _Sender(
            self.client,
            acks=-1,
            txn_manager=self._txn_manager,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            message_accumulator=self._message_accumulator,
            request_timeout_ms=request_timeout_ms,
        )

    def kill(self) -> None:
        """From here on nothing is sent. What was pending stays without an answer."""
        self._closed = True
        self._message_accumulator._closed = True
        for connection in self.client._conns.values():
            if connection._writer is not None:
                connection._writer.transport.abort()  # close() would flush to a broker that does not read
        self._sender.kill()

    async def end(self) -> None:
        """Kill it and release everything, within a bounded time."""
        self.kill()
        with anyio.move_on_after(_LONGEST_END_SECS, shield=True):
            if (sender_task := self._sender.sender_task) is not None:
                await asyncio.wait([sender_task])
            await self.client.close()
        if self._txn_manager._transaction_waiter is not None:
            retrieved(self._txn_manager._transaction_waiter)


def filled(batch: Any, messages: Sequence[Message]) -> int:
    """Put messages into an empty batch of the client while they fit; the first always does.

    The client's own ``append`` takes nearly twice the time for each.

    Returns:
        How many were put in.
    """
    append, count = batch._builder.append, 0
    for message in messages:
        headers = message.headers
        if type(headers) is not list:  # the client takes no other sequence
            headers = list(headers)
        if append(count, None, message.key, message.body or None, headers) is None:
            batch.close()
            break
        count += 1
    batch._relative_offset = count
    return count


def retrieved(future: asyncio.Future[Any]) -> None:
    """Look at the error, if there is one, since nobody else may do so, and the loop would complain."""
    if future.done() and not future.cancelled():
        future.exception()


_RETRY_BACKOFF_MS: Final = 100
_LONGEST_END_SECS: Final = 5.0
