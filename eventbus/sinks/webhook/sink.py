"""Signed HTTP requests, one for each event or for several: sign, send, hand the answer to those who judge it.

It must not judge by itself (`answers` and `faults` do), retry, or follow a redirect.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import ClassVar, Final

import anyio
import anyio.to_thread
from pydantic import BaseModel
from yarl import URL

from eventbus.http.client import Client
from eventbus.http.connection import Patience, Reply
from eventbus.http.dialling import Dialler, Origin, origin_of
from eventbus.http.faults import NoReply
from eventbus.http.networks import Networks
from eventbus.http.tls import context_of
from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Encoded,
    Encoder,
    Event,
    Message,
    Outcome,
    ProbeStep,
    Rejected,
    SinkTraits,
    Unreachable,
)
from eventbus.sinks.reaching import probed
from eventbus.sinks.webhook.answers import Answer, outcome_of_answer
from eventbus.sinks.webhook.content import Content, compressed, content_of, encode
from eventbus.sinks.webhook.handshake import Permission, ask
from eventbus.sinks.webhook.options import WebhookOptions
from eventbus.sinks.webhook.places import Places
from eventbus.sinks.webhook.signing import Signer
from eventbus.sinks.webhook.target import Target
from eventbus.sinks.webhook.tokens import Tokens
from eventbus.telemetry.tracing import current_traceparent

__all__ = ["WebhookSink"]

_LARGE_BODY_BYTES: Final = 1 << 20
_EXCERPTED_BYTES: Final = 4096


class WebhookSink:
    """Sends events to one URL.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = WebhookOptions
    carries: ClassVar[Carries] = Carries(attributes="ce-")

    def __init__(self, name: str, options: WebhookOptions) -> None:
        self.name = name
        self.traits = _traits(options)
        self._options = options
        self._target = Target(options)
        signing = options.signing
        self._signer = Signer(secret.get_secret_value() for secret in signing.secrets) if signing else None
        oauth2 = options.oauth2
        self._token_origin = origin_of(URL(oauth2.token_url.get_secret_value())) if oauth2 else None
        self._patience = _patience(options)
        self._places = Places(name, options.concurrency, adaptive=options.adaptive)
        self._client: Client | None = None
        self._tokens: Tokens | None = None
        self._token_client: Client | None = None
        self._permission: Permission | None = None

    async def open(self) -> None:
        """Connect once, so that an address that leads nowhere is known before the first event.

        Raises:
            Unreachable: There is no connection, no TLS session, no token or no permission now.
            ConfigurationError: A certificate cannot be used.
        """
        if self._client is not None:
            return
        tls = await self._certificates()
        client = self._client_of(self._target.origin, tls)
        try:
            await self._begin(client, tls)
        except NoReply as error:
            client.close()
            raise Unreachable(f"{self._target.origin}: {error.outcome.reason}") from error
        self._client = client

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`; to the addresses alone that events may be sent to."""
        origin, options = self._target.origin, self._options
        return probed(
            self,
            [(origin.host, origin.port)],
            tls=self._context() if origin.is_secure else None,
            timeout_secs=options.timeout,
            last="open",
            allow=Networks(options.networks).allow,
        )

    async def close(self) -> None:
        """Close all connections."""
        for client in (self._client, self._token_client):
            if client is not None:
                client.close()
        self._client = self._tokens = self._token_client = None

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The event as the encoder writes it, with its content type."""
        return encode(event, encoder, self._options.body)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send the messages, in their order: those of one address together."""
        assert self._client is not None, "open comes first"
        if len(messages) == 1:
            return [await self._attempt(messages)]
        outcomes: list[Outcome] = []
        for _, several in groupby(messages, lambda message: self._target.head(message.event)):
            outcomes += await self._attempt_together(list(several))
        return outcomes

    async def _attempt_together(self, messages: Sequence[Message]) -> list[Outcome]:
        """The answer is for all of them, but for a refusal: that says only that one of them cannot be taken.

        Then each half is offered by itself, and so on, until it is known which.
        """
        if self._options.body == "single":
            return [await self._attempt([message]) for message in messages]
        outcome = await self._attempt(messages)
        if not isinstance(outcome, Rejected) or len(messages) == 1:
            return [outcome] * len(messages)
        half = len(messages) // 2
        return await self._attempt_together(messages[:half]) + await self._attempt_together(messages[half:])

    async def _attempt(self, messages: Sequence[Message]) -> Outcome:
        """One request."""
        assert self._client is not None
        if self._permission is not None:
            await self._permission.take_turn()
        await self._places.enter()
        begun_at = anyio.current_time()
        is_answered: bool | None = None
        try:
            outcome = await self._outcome(self._client, messages)
            is_answered = outcome is DELIVERED or isinstance(outcome, Rejected)
        except NoReply as error:
            outcome, is_answered = error.outcome, False
        finally:
            self._places.leave(begun_at, anyio.current_time(), is_answered=is_answered)
        return outcome

    async def _outcome(self, client: Client, messages: Sequence[Message]) -> Outcome:
        content = content_of(messages, self._options.body)
        start = self._target.head(messages[0].event)
        if self._tokens is None:
            return self._judged(await client.request(*await self._request(start, content)))
        token = await self._tokens.current()
        reply = await client.request(*await self._request(start, content, token))
        if reply.status == 401:
            self._tokens.refused(token)
            token = await self._tokens.current()
            reply = await client.request(*await self._request(start, content, token))
        return self._judged(reply, token)

    async def _request(self, start: bytes, content: Content, token: str = "") -> tuple[bytes, bytes]:
        """Head and body. Made anew for each attempt: receivers refuse a time that is minutes old."""
        body = content.body
        now = int(time.time())
        head = start + content.headers + f"webhook-id: {content.id}\r\nwebhook-timestamp: {now}\r\n".encode()
        is_large = len(body) > _LARGE_BODY_BYTES
        if self._signer is not None:
            sign, of_what = self._signer.signature, (content.id, now, body)
            signature = await anyio.to_thread.run_sync(sign, *of_what) if is_large else sign(*of_what)
            head += f"webhook-signature: {signature}\r\n".encode()
        if trace := current_traceparent():
            head += f"traceparent: {trace}\r\n".encode()
        if token:
            head += f"Authorization: Bearer {token}\r\n".encode()
        if self._options.compression == "gzip":
            smaller = await anyio.to_thread.run_sync(compressed, body) if is_large else compressed(body)
            if smaller is not None:
                head, body = head + b"Content-Encoding: gzip\r\n", smaller
        return head + b"Content-Length: %d\r\n\r\n" % len(body), body

    def _judged(self, reply: Reply, token: str = "") -> Outcome:
        if 200 <= reply.status < 300:
            return DELIVERED
        content = reply.content[:_EXCERPTED_BYTES]
        if token:
            content = content.replace(token.encode(), b"*" * len(token))
        headers = {name: value.decode("latin-1") for name, value in reply.headers.items()}
        answer = Answer(
            reply.status,
            headers.get(b"retry-after"),
            headers.get(b"location"),
            self._target.excerpt(content),
        )
        return outcome_of_answer(answer, datetime.now(UTC), self._options.answers)

    async def _certificates(self) -> ssl.SSLContext | None:
        """How to speak TLS, if anybody here speaks it. Reading the system's certificates takes a while."""
        if not any(origin.is_secure for origin in (self._target.origin, self._token_origin) if origin):
            return None
        return await anyio.to_thread.run_sync(self._context)

    def _context(self) -> ssl.SSLContext:
        try:
            return context_of(self._options.tls)
        except ValueError as error:
            raise ConfigurationError(f"sinks.{self.name}.tls: {error}") from None

    async def _begin(self, client: Client, tls: ssl.SSLContext | None) -> None:
        """Whatever can fail before the first event fails here.

        Raises:
            NoReply: Something that is needed is not there.
        """
        await client.try_connecting()
        oauth2, token_origin = self._options.oauth2, self._token_origin
        if oauth2 is not None and token_origin is not None and self._tokens is None:
            self._token_client = self._client_of(token_origin, tls)
            self._tokens = Tokens(oauth2, self._token_client)
        if self._tokens is not None:
            await self._tokens.current()
        if self._options.handshake_origin is not None:
            self._permission = await ask(client, self._target.question(), self._options.handshake_origin)

    def _client_of(self, origin: Origin, tls: ssl.SSLContext | None) -> Client:
        dialler = Dialler(origin, Networks(self._options.networks), self._patience, tls)
        return Client(dialler, self._patience, self._options.keep_alive)


def _traits(options: WebhookOptions) -> SinkTraits:
    if options.body == "single":
        max_batch, max_batch_size = 1, 16 << 20
    else:
        max_batch, max_batch_size = options.max_batch, options.max_batch_size
    return SinkTraits(
        lanes=options.concurrency,
        max_batch=max_batch,
        max_batch_bytes=max_batch_size,
        keeps_order=options.body != "single",
        concurrency=options.concurrency,
    )


def _patience(options: WebhookOptions) -> Patience:
    total, timeouts = options.timeout, options.timeouts
    return Patience(
        total=total,
        connect=timeouts.connect or total,
        tls=timeouts.tls or total,
        send=timeouts.send or total,
        first_byte=timeouts.first_byte or total,
    )
