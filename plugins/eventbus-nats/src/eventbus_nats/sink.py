"""The sink: makes messages, publishes those of a call at once, and waits for the stream's word on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import quote

import anyio
from nats.js.client import JetStreamContext
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
    KeyTemplate,
    Message,
    Outcome,
    Rejected,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus_nats.connection import ERRORS, Connection, Connector
from eventbus_nats.options import NatsOptions
from eventbus_nats.outcomes import LOST, NO_STREAM, STRANGE, outcome_of, unacknowledged

__all__ = ["NatsSink"]

_USUAL_LARGEST: Final = 1 << 20
_ID: Final = "Nats-Msg-Id"
_UNSAFE: Final = " %"
_LINES: Final = len("NATS/1.0\r\n\r\n")
_EXPECTED_STREAM: Final = len("Nats-Expected-Stream: \r\n")


class NatsSink:
    """Publishes into the streams of one NATS.

    The messages of a call go out without waiting for each other, so a key is in a call only once: when one of
    them fails, what comes behind it has not been sent yet.
    """

    Options: ClassVar[type[BaseModel]] = NatsOptions
    carries: ClassVar[Carries] = Carries(attributes="ce-")
    traits = SinkTraits(lanes=4, max_batch=256, max_batch_bytes=4 << 20, keeps_order=False)

    def __init__(self, name: str, options: NatsOptions) -> None:
        self.name = name
        self._timeout_secs = options.timeout
        self._stream = options.stream.name if options.stream is not None else None
        self._subject = KeyTemplate(options.subject, _as_word)
        self._id = KeyTemplate(options.message_id, _as_text)
        self._connector = Connector(options)
        self._turns = anyio.Semaphore(options.max_pending)
        self._largest = _USUAL_LARGEST

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; wrong credentials count as unreachable, since they may be mended there."""
        try:
            connection = await self._connector.connection()
        except Unreachable as error:
            raise Unreachable(f"nats sink {self.name}: {error}") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"nats sink {self.name}: {error}") from error
        self._largest = connection.max_payload

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._connector.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        body = encoder.encode(event)
        subject, message_id = self._subject.render(event), self._id.render(event)
        if subject is None:
            return Rejected("no subject: the event has no value for a name in `subject`")
        if message_id is None:
            return Rejected("no message id: the event has no value for a name in `message_id`")
        headers = (
            (_ID, message_id.encode()),
            ("Content-Type", encoder.content_type.encode()),
            *encoder.headers(event),
        )
        size = len(body) + _size(headers) + (_EXPECTED_STREAM + len(self._stream) if self._stream else 0)
        if size > self._largest:
            reason = f"{size} bytes with headers, more than the server's max_payload {self._largest}"
            return Rejected(reason, Failure.TOO_LARGE)
        return Message(event, body, target=subject, headers=headers)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        try:
            connection = await self._connector.connection()
        except (Unreachable, ConfigurationError) as error:
            return [Retry(Fault.UNAVAILABLE, str(error), kind=Failure.NETWORK)] * len(messages)
        self._largest = connection.max_payload
        return await self._published(connection, messages)

    async def _published(self, connection: Connection, messages: Sequence[Message]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(messages)
        streams = connection.stream(self._timeout_secs)

        async def publish(index: int) -> None:
            async with self._turns:
                outcomes[index] = await self._attempt(streams, messages[index])

        async def all_of_them(done: anyio.CancelScope) -> None:
            async with anyio.create_task_group() as tasks:
                for index in range(len(messages)):
                    tasks.start_soon(publish, index)
            done.cancel()

        with anyio.move_on_after(self._timeout_secs):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(all_of_them, tasks.cancel_scope)
                await connection.lost.wait()
                tasks.cancel_scope.cancel()
        missing = LOST if connection.lost.is_set() else unacknowledged(connection.trouble)
        connection.is_unsure = connection.is_unsure or NO_STREAM in outcomes
        if all(outcome is None for outcome in outcomes):  # no word of anything: it may be half open
            connection.lost.set()
        return [missing if outcome is None else outcome for outcome in outcomes]

    async def _attempt(self, streams: JetStreamContext, message: Message) -> Outcome | None:
        """One publish; None if it is not known what became of it."""
        headers = {name: value.decode() for name, value in message.headers}
        try:
            await streams.publish(
                message.target,
                message.body,
                timeout=2 * self._timeout_secs,
                stream=self._stream,
                headers=headers,
            )
        except TimeoutError:
            return None
        except ERRORS as error:
            return outcome_of(error)
        except (ValueError, TypeError, LookupError):  # what the client raises when the answer is no stream's
            return STRANGE
        return DELIVERED


def _as_word(value: str) -> str:
    """A value as one word of a subject: what would divide it, or stand for others, becomes an underscore."""
    return "".join("_" if sign in ".*>" or sign.isspace() or ord(sign) < 32 else sign for sign in value)


def _as_text(value: str) -> str:
    """A value as a part of an id: as it is, but for what headers cannot hold, so that no two become one."""
    return "".join(quote(sign) if sign in _UNSAFE or not sign.isprintable() else sign for sign in value)


def _size(headers: Sequence[tuple[str, bytes]]) -> int:
    return _LINES + sum(len(name) + len(value) + len(": \r\n") for name, value in headers)
