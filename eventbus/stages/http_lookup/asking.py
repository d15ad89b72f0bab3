"""Asks a service: a question at a time, and what becomes of a service that is away."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final

import anyio
import anyio.to_thread
import structlog

from eventbus.core.backoff import Backoff
from eventbus.core.circuit import Circuit, CircuitPolicy, CircuitState
from eventbus.http.client import Client
from eventbus.http.connection import Patience
from eventbus.http.dialling import Dialler
from eventbus.http.faults import NoReply
from eventbus.http.networks import Networks
from eventbus.http.tls import context_of
from eventbus.sdk import StageContext, Unreachable
from eventbus.stages.http_lookup.answers import Answer, Away, answer_in
from eventbus.stages.http_lookup.options import HttpLookupOptions
from eventbus.stages.http_lookup.requests import Request, Requests

__all__ = ["Asker"]

log = structlog.get_logger("eventbus.stage")

_KEEP_ALIVE_SECS: Final = 15.0
_FIRST_PAUSE_SECS: Final = 0.2
_LONGEST_PAUSE_SECS: Final = 5.0


class Asker:
    """Asks one service.

    Args:
        options: What users wrote.
        requests: What the requests look like.
        context: What every stage is given.
    """

    def __init__(self, options: HttpLookupOptions, requests: Requests, context: StageContext) -> None:
        self._options = options
        self._requests = requests
        self._client: Client | None = None
        self._opening = anyio.Lock()
        self._not_before = 0.0
        breaker = options.breaker
        self._circuit = Circuit(CircuitPolicy(breaker.failures, breaker.open, breaker.open))
        self._is_probing = False
        self._log = log.bind(subscription=context.subscription, stage=context.label)

    async def ask(self, request: Request) -> Answer:
        """Ask. Away is an answer only if the service need not be waited for.

        Raises:
            Unreachable: The service is away.
        """
        if self._options.unavailable == "wait":
            return await self._ask_when_allowed(request)
        return await self._ask_unless_open(request)

    def close(self) -> None:
        """Close all connections; no question is under way any more."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _ask_when_allowed(self, request: Request) -> Answer:
        await anyio.sleep(max(0.0, self._not_before - anyio.current_time()))
        answer = await self._asked_once(request)
        if isinstance(answer, Away):
            self._not_before = anyio.current_time() + (answer.after_secs or 0.0)
            raise Unreachable(f"{self._requests.shown}: {answer.reason}")
        return answer

    async def _ask_unless_open(self, request: Request) -> Answer:
        """Ask until there is an answer, or the breaker opens."""
        backoff = Backoff(_FIRST_PAUSE_SECS, _LONGEST_PAUSE_SECS)
        while True:
            state = self._circuit.state(anyio.current_time())
            if state is CircuitState.OPEN or (state is CircuitState.HALF_OPEN and self._is_probing):
                return Away(self._circuit.reason)
            self._is_probing = state is CircuitState.HALF_OPEN
            try:
                answer = await self._asked_once(request)
            finally:
                self._is_probing = False
            if not isinstance(answer, Away):
                if self._circuit.succeeded():
                    self._log.info("lookup_circuit_closed")
                return answer
            self._failed(answer)
            if not self._circuit.is_closed():
                return answer
            await anyio.sleep(backoff.next())

    def _failed(self, away: Away) -> None:
        if self._circuit.failed(anyio.current_time(), away.reason, after_secs=away.after_secs):
            self._log.warning("lookup_circuit_opened", reason=f"{self._requests.shown}: {away.reason}")

    async def _asked_once(self, request: Request) -> Answer:
        try:
            client = self._client or await self._opened()
            reply = await client.request(self._requests.head(request), request.body)
        except NoReply as error:
            return Away(error.outcome.reason)
        except ValueError as error:
            return Away(f"tls: {error}")  # a file that was there when the configuration was read
        return answer_in(reply, datetime.now(UTC))

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                self._client = self._made(await self._certificates())
            return self._client

    async def _certificates(self) -> ssl.SSLContext | None:
        """How to speak TLS. Reading the system's certificates takes a while."""
        if not self._requests.origin.is_secure:
            return None
        return await anyio.to_thread.run_sync(context_of, self._options.tls)

    def _made(self, tls: ssl.SSLContext | None) -> Client:
        options, secs = self._options, self._options.timeout
        patience = Patience(secs, connect=secs, tls=secs, send=secs, first_byte=secs)
        networks = Networks(options.networks)
        dialler = Dialler(self._requests.origin, networks, patience, tls, options.max_size)
        return Client(dialler, patience, _KEEP_ALIVE_SECS)
