"""One HTTP POST for each event: connect, sign, send, hand the answer to those who judge it.

It must not judge by itself (`answers` and `faults` do), retry, or follow a redirect.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from typing import ClassVar, Final

import aiohttp
import anyio
import anyio.to_thread
from anyio.abc import AnyByteStream
from pydantic import BaseModel

from eventbus.sdk import (
    Carries,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Outcome,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus.sinks.webhook.answers import Answer, outcome_of_answer
from eventbus.sinks.webhook.faults import connecting_failed, outcome_of_error
from eventbus.sinks.webhook.options import WebhookOptions
from eventbus.sinks.webhook.signing import Signer
from eventbus.sinks.webhook.target import Target

__all__ = ["WebhookSink"]

_CONTENT_KEPT_BYTES: Final = 4096
_CONTENT_PATIENCE_SECS: Final = 1.0
_CLOSE_SECS: Final = 5.0
_LARGE_BODY_BYTES: Final = 1 << 20


class WebhookSink:
    """POSTs each event to one URL.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = WebhookOptions
    carries: ClassVar[Carries] = Carries(attributes="ce-")

    def __init__(self, name: str, options: WebhookOptions) -> None:
        self.name = name
        self.traits = SinkTraits(
            lanes=options.concurrency, max_batch=1, max_batch_bytes=16 << 20, concurrency=options.concurrency
        )
        self._target = Target.of(options)
        signing = options.signing
        self._signer = Signer(secret.get_secret_value() for secret in signing.secrets) if signing else None
        self._timeout_secs = options.timeout
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Connect once, so that an address that leads nowhere is known before the first event.

        Raises:
            Unreachable: There is no connection, or no TLS session, with the endpoint now.
        """
        if self._session is not None:
            return
        is_tls = self._target.url.scheme == "https"
        # Reading the system's certificates takes tens of milliseconds.
        tls = await anyio.to_thread.run_sync(ssl.create_default_context) if is_tls else None
        await self._try_connecting(tls)
        self._session = self._make_session(tls)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            with anyio.move_on_after(_CLOSE_SECS, shield=True):
                await session.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The event as the encoder writes it, with its content type."""
        content_type = ("Content-Type", encoder.content_type.encode())
        return Message(event, encoder.encode(event), headers=(content_type, *encoder.headers(event)))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """POST each message once."""
        assert self._session is not None, "open comes first"
        return [await self._attempt(self._session, message) for message in messages]

    async def _attempt(self, session: aiohttp.ClientSession, message: Message) -> Outcome:
        try:
            response = await self._post(session, message)
        except TimeoutError:
            return Retry(Fault.FAILED, f"no answer within {self._timeout_secs:g} s", kind=Failure.TIMEOUT)
        except (aiohttp.ClientError, OSError) as error:
            return outcome_of_error(error)
        answer = await self._read(response)
        return outcome_of_answer(answer, datetime.now(UTC))

    async def _post(self, session: aiohttp.ClientSession, message: Message) -> aiohttp.ClientResponse:
        headers = await self._headers(message)
        # One write for a small body together with its headers; a large one in pieces, so that the loop
        # goes on in between.
        body = io.BytesIO(message.body) if len(message.body) > _LARGE_BODY_BYTES else message.body
        return await session.post(self._target.url, data=body, headers=headers, allow_redirects=False)

    async def _headers(self, message: Message) -> Mapping[str, str]:
        """Made anew for each attempt: receivers refuse a time that is minutes old."""
        now = int(time.time())
        headers = {name: value.decode() for name, value in message.headers}
        headers["webhook-id"] = message.event.id
        headers["webhook-timestamp"] = str(now)
        if self._signer is not None:
            headers["webhook-signature"] = await _signature(self._signer, message, now)
        return headers

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        """The answer, with the beginning of its content.

        The status has decided already, so a content that is slow, broken or long changes nothing but the
        connection's fate: only one that was read to its end can be used again.
        """
        try:
            content = await _beginning(response)
        finally:
            response.close()
        headers = response.headers
        excerpt = "" if 200 <= response.status < 300 else self._target.excerpt(content)
        return Answer(response.status, headers.get("Retry-After"), headers.get("Location"), excerpt)

    async def _try_connecting(self, tls: ssl.SSLContext | None) -> None:
        endpoint = self._target.endpoint
        try:
            with anyio.fail_after(self._timeout_secs):
                await anyio.aclose_forcefully(await _connected(self._target, tls))
        except TimeoutError:
            raise Unreachable(f"{endpoint}: no connection within {self._timeout_secs:g} s") from None
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise Unreachable(f"{endpoint}: {connecting_failed(error)}") from error

    def _make_session(self, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.traits.concurrency or 0,
                ssl=tls or True,
                resolver=aiohttp.ThreadedResolver(),
            ),
            headers=self._target.headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_secs, ceil_threshold=inf),
            auto_decompress=False,
        )


async def _connected(target: Target, tls: ssl.SSLContext | None) -> AnyByteStream:
    if tls is None:
        return await anyio.connect_tcp(target.host, target.port)
    return await anyio.connect_tcp(target.host, target.port, ssl_context=tls, tls_standard_compatible=False)


async def _signature(signer: Signer, message: Message, now: int) -> str:
    if len(message.body) <= _LARGE_BODY_BYTES:
        return signer.signature(message.event.id, now, message.body)
    return await anyio.to_thread.run_sync(signer.signature, message.event.id, now, message.body)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the content; all of it is read if it is not much longer than what is kept."""
    kept = bytearray()
    if response.content.is_eof():  # it came with the headers, as short ones do
        with suppress(aiohttp.ClientError, OSError):
            kept += response.content.read_nowait()
        return bytes(kept[:_CONTENT_KEPT_BYTES])
    with anyio.move_on_after(_CONTENT_PATIENCE_SECS), suppress(aiohttp.ClientError, OSError):
        while len(kept) <= _CONTENT_KEPT_BYTES and (chunk := await response.content.readany()):
            kept += chunk
    return bytes(kept[:_CONTENT_KEPT_BYTES])
