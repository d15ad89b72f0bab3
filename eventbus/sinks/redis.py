"""Redis streams: each message is one entry with the fields ``id`` and ``event``.

A batch is one script call: one round trip, entries in the order of the batch, and for each stream an end at
its first failure, so that nothing of a key gets ahead of what failed. A plain pipeline would go on: out of
memory at one entry, and the next one of the same key is taken, since memory was freed in between. The script
costs the client 3 µs a message; a pipeline, with or without MULTI, costs 20.

The client's own retries are off: a call whose answer was lost may have been carried out, so that the route
must know of every attempt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as ClientRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eventbus.encoding.template import Template, TemplateText
from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Duration,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Options,
    Outcome,
    Rejected,
    Retry,
    SinkTraits,
    Unreachable,
)

__all__ = ["RedisOptions", "RedisSink"]


class RedisOptions(Options):
    """A Redis server and what to do there."""

    url: SecretStr
    """``redis://user:password@host:6379/0``; ``rediss://`` for TLS, ``unix:///path`` for a socket."""
    mode: Literal["stream"] = "stream"
    """``stream`` appends each event to a stream."""
    stream: TemplateText
    """Name of the stream; may hold {database}, {collection} and {operation}."""
    maxlen: int | None = Field(default=None, gt=0)
    """Entries that a stream keeps; older ones are dropped, read or not. No limit by default."""
    approximate: bool = True
    """Let Redis trim to `maxlen` in whole nodes, which is much cheaper and keeps a few entries more."""
    timeout: Duration = Field(default=5.0, gt=0)
    """Time to connect, and time for a batch to be answered."""


class RedisSink:
    """Appends to streams of one Redis."""

    Options: ClassVar[type[BaseModel]] = RedisOptions
    traits = SinkTraits(lanes=4, max_batch=500, max_batch_bytes=1 << 20, keeps_order=True)

    def __init__(self, name: str, options: RedisOptions) -> None:
        self.name = name
        self._stream = Template(options.stream)
        self._trim = (str(options.maxlen or ""), "~" if options.approximate else "=")
        self._client = _client(options)
        self._append = self._client.register_script(_APPEND)
        self._largest = _USUAL_LARGEST

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; wrong credentials count as unreachable, since they may be mended there."""
        try:
            await self._client.ping()
            self._largest = await self._largest_value()
        except RedisError as error:
            raise Unreachable(f"redis sink {self.name}: {_reason(error)}") from error

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._client.aclose()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        body = encoder.encode(event)
        if len(body) > self._largest:
            reason = f"{len(body)} bytes, more than the server's proto-max-bulk-len {self._largest}"
            return Rejected(reason, Failure.TOO_LARGE)
        return Message(event, body, target=self._stream.render(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        streams = {stream: number for number, stream in enumerate({m.target: None for m in messages}, 1)}
        arguments: list[str | bytes | int] = list(self._trim)
        for message in messages:
            arguments += (streams[message.target], message.event.id, message.body)
        try:
            failures = await self._append(keys=list(streams), args=arguments)
        except RedisError as error:
            return [_outcome(error)] * len(messages)
        return _outcomes(messages, failures)

    async def _largest_value(self) -> int:
        """The server's limit on a value, which it enforces by dropping the connection without a word."""
        try:
            limits = await self._client.config_get(_LIMIT)
        except ResponseError:  # many hosted servers do not show their configuration
            return _USUAL_LARGEST
        return int(limits.get(_LIMIT) or _USUAL_LARGEST)


_LIMIT: Final = "proto-max-bulk-len"
_USUAL_LARGEST: Final = 512 << 20

_APPEND: Final = """\
local maxlen, trim, failures, failed = ARGV[1], ARGV[2], {}, {}
for i = 3, #ARGV, 3 do
    local number, id, event, reply = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
    if not failed[number] then
        if maxlen == '' then
            reply = redis.pcall('XADD', KEYS[number], '*', 'id', id, 'event', event)
        else
            reply = redis.pcall('XADD', KEYS[number], 'MAXLEN', trim, maxlen, '*', 'id', id, 'event', event)
        end
        if type(reply) == 'table' and reply.err then
            failed[number] = true
            failures[#failures + 1] = i / 3 - 1
            failures[#failures + 1] = reply.err
        end
    end
end
return failures
"""
"""Gives for each stream that failed the index of the first message it did not take, and the error. All
streams are named as keys, as Redis Cluster and ACLs demand."""


def _client(options: RedisOptions) -> Redis:
    """A client that makes one attempt; nothing is connected yet.

    Raises:
        ConfigurationError: The URL cannot be understood. The library's own message could show the password.
    """
    url = options.url.get_secret_value()
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ConfigurationError("url: must begin with redis://, rediss:// or unix://")
        if parts.scheme != "unix" and not re.fullmatch(r"/?|/\d+", parts.path):
            raise ConfigurationError(
                "url: what follows the host must be the number of a database, such as /0"
            )
        client = Redis.from_url(
            url,
            protocol=2,
            retry=ClientRetry(NoBackoff(), 0),
            socket_timeout=options.timeout,
            socket_connect_timeout=options.timeout,
        )
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call] # finds unknown query parameters
    except (TypeError, ValueError):
        raise ConfigurationError("url: not a valid Redis URL") from None
    return client


def _outcomes(messages: Sequence[Message], failures: Sequence[Any]) -> list[Outcome]:
    """Delivered, but from the first failure of a stream on whatever that failure means."""
    outcomes: list[Outcome] = [DELIVERED] * len(messages)
    for first, text in zip(failures[::2], failures[1::2], strict=True):
        stream, outcome = messages[first].target, _by_code(text.decode(errors="replace"))
        for index in range(first, len(messages)):
            if messages[index].target == stream:
                outcomes[index] = outcome
    return outcomes


def _outcome(error: RedisError) -> Outcome:
    """What an error of the whole call means for each of its messages."""
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return Retry(Fault.UNAUTHORISED, _reason(error), kind=Failure.UNAUTHORISED)
    if isinstance(error, OutOfMemoryError | ReadOnlyError) or not isinstance(error, ResponseError):
        return Retry(Fault.UNAVAILABLE, _reason(error), kind=_kind(error))
    return _by_code(_reason(error))


def _kind(error: RedisError) -> Failure:
    """What kind of failure it is that the server has not, or not now, carried out the call."""
    match error:
        case RedisTimeoutError():
            return Failure.TIMEOUT
        case BusyLoadingError():
            return Failure.SERVER
        case RedisConnectionError():
            return Failure.NETWORK
        case _:
            return Failure.SERVER


def _by_code(text: str) -> Outcome:
    """What the server's own word for one entry means; older servers put a script's name before the code."""
    found = re.search(r"\b[A-Z]{3,}\b", text)
    code = found.group() if found else ""
    if code == "WRONGTYPE":
        return Rejected(text)
    if code in _UNAUTHORISED:
        return Retry(Fault.UNAUTHORISED, text, kind=Failure.UNAUTHORISED)
    return Retry(Fault.UNAVAILABLE if code in _UNAVAILABLE else Fault.FAILED, text)


_UNAUTHORISED: Final = frozenset({"NOAUTH", "NOPERM", "WRONGPASS"})
_UNAVAILABLE: Final = frozenset(
    {
        *("ASK", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED"),
        *("NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNKILLABLE"),
    }
)


def _reason(error: RedisError) -> str:
    return str(error) or type(error).__name__
