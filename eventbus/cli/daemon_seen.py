"""What a running daemon says of itself, as far as one answers: to all, and to whoever has a token."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from eventbus.administration.seen import SubscriptionSeen, subscriptions_seen
from eventbus.config.models import ServerSection
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.http.certificates import showing, trusting

__all__ = ["DaemonAt", "address_of"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
_LONG_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)
_OTHERS: Final = (AttributeError, KeyError, TypeError)
"""What comes of looking into an answer of another form than a daemon's."""
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what it is bound to


def address_of(server: ServerSection) -> str | None:
    """Where a daemon of this configuration answers; None if it takes any free port."""
    if server.port == 0:
        return None
    host = _EVERY_ADDRESS.get(server.host, server.host)
    return f"http{'s' if server.tls else ''}://{host}:{server.port}"


@dataclass(frozen=True, slots=True)
class DaemonAt:
    """A daemon that may be asked.

    Args:
        address: As ``http://host:port``.
        token: What is shown to it; None for nothing.
        ca: A file of certificates to trust instead of the system's.
        certificate: A file with our own certificate and its key, if it wants to see one.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None

    async def seen(self) -> Mapping[str, SubscriptionSeen] | None:
        """Its subscriptions, without a token; None if none answers.

        Raises:
            ConfigurationError: A certificate cannot be used.
        """
        try:
            async with self._answer("/readyz", _TIMEOUT) as response:
                return subscriptions_seen(orjson.loads(await response.read()))
        except (aiohttp.ClientError, TimeoutError, ValueError, *_OTHERS):
            return None

    async def standing(self, subscription: str | None) -> tuple[list[dict[str, Any]], Sequence[str]]:
        """How its routes stand, and what it does not know.

        Raises:
            ConfigurationError: It does not know the token, or the subscription, or a certificate is no good.
            Unreachable: Nobody answers.
        """
        path = "/v1/subscriptions" + (f"/{quote(subscription, safe='')}" if subscription is not None else "")
        status, said = await self._said(path)
        if status != 200:
            raise self._refusal(status, said)
        with self._expected():
            found = said.get("subscriptions", [said])
            return [row for one in found for row in one["routes"]], said.get("unknown", [])

    async def reload(self) -> Mapping[str, Any]:
        """Have it read its configuration again; what came of it, as `ReloadOutcome.described` has it.

        Raises:
            ConfigurationError: It does not know the token, or a certificate is no good.
            Unreachable: Nobody answers.
        """
        status, said = await self._said("/v1/reload", method="POST")
        if status not in {200, 409}:
            raise self._refusal(status, said)
        with self._expected():
            if status == 409:
                return {"result": "refused", "problems": [fault["message"] for fault in said["errors"]]}
            return {**said, "result": said["result"], "problems": []}

    async def metrics(self) -> str | None:
        """What it has counted, in the text format of Prometheus; None if none answers.

        Raises:
            ConfigurationError: It wants to see another token, or a certificate is no good.
        """
        try:
            async with self._answer("/metrics", _TIMEOUT) as response:
                if response.status in {401, 403}:
                    raise ConfigurationError(f"{self.address}/metrics wants a token: see --token")
                return await response.text() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def _said(self, path: str, *, method: str = "GET") -> tuple[int, Any]:
        """Status and body of an answer of the admin API."""
        try:
            async with self._answer(path, _LONG_TIMEOUT, method=method) as response:
                return response.status, orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            reason = str(cause) or type(error).__name__
            raise Unreachable(f"no daemon answers at {self.address}: {reason}") from None

    @contextmanager
    def _expected(self) -> Iterator[None]:
        """Take an answer of another form for that of another server."""
        try:
            yield
        except _OTHERS:
            raise Unreachable(f"what answers at {self.address} is no eventbus: see server.port") from None

    def _refusal(self, status: int, said: Any) -> Exception:
        detail = said.get("detail", status) if isinstance(said, dict) else status
        refused = Unreachable if status >= 500 or status == 429 else ConfigurationError
        return refused(f"the daemon at {self.address} refuses: {detail}")

    @asynccontextmanager
    async def _answer(
        self, path: str, timeout: aiohttp.ClientTimeout, *, method: str = "GET"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                method,
                self.address.rstrip("/") + path,
                headers=headers,
                ssl=self._context(),
                allow_redirects=False,  # a token is for whom it was given to
            ) as response,
        ):
            yield response

    def _context(self) -> ssl.SSLContext:
        try:
            context = trusting(self.ca)
            if self.certificate is not None:
                showing(context, self.certificate, None, None)
        except ValueError as error:
            raise ConfigurationError(f"certificates: {error}") from None
        return context
