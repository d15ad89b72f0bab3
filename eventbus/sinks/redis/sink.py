"""The sink: opens and closes the client, and leaves to the mode what becomes of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Final

from pydantic import BaseModel
from redis.exceptions import ResponseError

from eventbus.sdk import (
    ConfigurationError,
    Encoded,
    Encoder,
    Event,
    Failure,
    Message,
    Outcome,
    ProbeStep,
    Rejected,
    SinkTraits,
    Transactions,
    Unreachable,
)
from eventbus.sinks.reaching import probed
from eventbus.sinks.redis.modes import TransactionalMode, mode_of
from eventbus.sinks.redis.options import RedisOptions
from eventbus.sinks.redis.outcomes import ERRORS, reason_of
from eventbus.sinks.redis.server import addresses_of, client_of, closed, tls_of

__all__ = ["RedisSink"]


class RedisSink:
    """Writes to one Redis, in one mode."""

    Options: ClassVar[type[BaseModel]] = RedisOptions
    traits = SinkTraits(lanes=4, max_batch=500, max_batch_bytes=1 << 20, keeps_order=True, max_slice=1000)

    def __init__(self, name: str, options: RedisOptions) -> None:
        self.name = name
        self._options = options
        self._client = client_of(options)
        self._mode = mode_of(options, self._client)
        self._largest = _USUAL_LARGEST

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; wrong credentials count as unreachable, since they may be mended there."""
        try:
            await self._client.ping()
            self._largest = await self._largest_value()
        except ERRORS as error:
            raise Unreachable(f"redis sink {self.name}: {reason_of(error)}") from error

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`."""
        options = self._options
        try:
            tls = tls_of(options)
        except OSError as error:
            raise ConfigurationError(f"redis sink {self.name}: tls: {error}") from None
        addresses = addresses_of(options)
        return probed(self, addresses, tls=tls, timeout_secs=options.timeout, last="authenticate")

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await closed(self._client)

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        made = self._mode.encode(event, encoder)
        if isinstance(made, Message) and len(made.body) > self._largest:
            reason = f"{len(made.body)} bytes, more than the server's proto-max-bulk-len {self._largest}"
            return Rejected(reason, Failure.TOO_LARGE)
        return made

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        return await self._mode.send(messages)

    def transactions(self, route: str) -> Transactions:
        """See `eventbus.sdk.TransactionalSink`.

        Raises:
            ConfigurationError: The mode has none, or needs none.
        """
        if not isinstance(self._mode, TransactionalMode):
            raise ConfigurationError(
                f"sinks.{self.name}: mode {self._options.mode} cannot be exactly_once; stream and list can, "
                "and what set and hash write twice is the same"
            )
        return self._mode.transactions(self._options.positions + route)

    async def _largest_value(self) -> int:
        """The server's limit on a value, which it enforces by dropping the connection without a word."""
        try:
            limits = await self._client.config_get(_LIMIT)
        except ResponseError:  # many hosted servers do not show their configuration
            return _USUAL_LARGEST
        return int(limits.get(_LIMIT) or _USUAL_LARGEST)


_LIMIT: Final = "proto-max-bulk-len"
_USUAL_LARGEST: Final = 512 << 20
