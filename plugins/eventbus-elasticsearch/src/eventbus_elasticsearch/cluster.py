"""Requests to one of several nodes: the one that answered last, until it does not."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import anyio.to_thread

from eventbus.sdk import ConfigurationError, Failure, Fault, Retry
from eventbus_elasticsearch.options import Certificates, ElasticsearchOptions

__all__ = ["Answer", "Cluster", "NoAnswer"]

_WORTH_COMPRESSING: Final = 1 << 10
_WORTH_A_THREAD: Final = 1 << 16
_LEVEL: Final = 1
_LONGEST_WAIT_SECS: Final = 3600.0
_FOR_PROBES: Final = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said.

    Args:
        status: The status of HTTP.
        body: The content.
        after_secs: How long we are asked to wait, if we are.
    """

    status: int
    body: bytes
    after_secs: float | None = None

    def json(self) -> dict[str, Any]:
        """The content as an object; an empty one if it is none."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


class NoAnswer(Exception):
    """A request that ended without an answer.

    Args:
        outcome: What that means for its documents.
    """

    def __init__(self, outcome: Retry) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Cluster:
    """The nodes that users named. There is no I/O before `open`."""

    def __init__(self, options: ElasticsearchOptions) -> None:
        self._options = options
        self._current = 0
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """The node that is asked next."""
        return self._options.hosts[self._current % len(self._options.hosts)]

    def open(self) -> None:
        """Be able to make requests. Reads files.

        Raises:
            ConfigurationError: A certificate cannot be used.
        """
        if self._session is not None:
            return
        options = self._options
        encrypted = any(host.startswith("https://") for host in options.hosts)
        connector = aiohttp.TCPConnector(
            limit=options.concurrency + _FOR_PROBES, ssl=_context(options.tls) if encrypted else True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_identity(options),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
        )

    async def close(self) -> None:
        """Release the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def pass_over(self) -> None:
        """Ask the next node from now on."""
        self._current += 1

    async def bulk(self, lines: bytes, *, told: str) -> Answer:
        """Make one bulk request.

        Args:
            lines: Its content.
            told: What the answer is to hold, as a ``filter_path``.

        Raises:
            NoAnswer: There was none.
        """
        headers = {"Content-Type": "application/x-ndjson"}
        if self._options.compression == "gzip" and len(lines) >= _WORTH_COMPRESSING:
            headers["Content-Encoding"] = "gzip"
            lines = await _compressed(lines)
        return await self.ask("POST", f"/_bulk?filter_path={told}", lines, headers)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one request, and none again; a node that does not answer is passed over from then on.

        Raises:
            NoAnswer: There was none.
        """
        host = self.host
        content = io.BytesIO(body) if body is not None else None  # is sent piece by piece
        assert self._session is not None, "the sink is not open"
        try:
            async with self._session.request(
                method, host + path, data=content, headers=headers, allow_redirects=False
            ) as response:
                answer = Answer(response.status, await response.read(), _after_secs(response))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._leave(host)
            raise NoAnswer(_without_answer(error, host, self._options.timeout)) from error
        if answer.status in {502, 503, 504}:
            self._leave(host)
        return answer

    def _leave(self, host: str) -> None:
        if host == self.host:  # and nobody left it meanwhile
            self.pass_over()


async def _compressed(lines: bytes) -> bytes:
    if len(lines) < _WORTH_A_THREAD:
        return gzip.compress(lines, _LEVEL)
    return await anyio.to_thread.run_sync(gzip.compress, lines, _LEVEL)


def _identity(options: ElasticsearchOptions) -> dict[str, str]:
    if options.username is not None and options.password is not None:
        pair = f"{options.username}:{options.password.get_secret_value()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if options.api_key is not None:
        return {"Authorization": f"ApiKey {options.api_key.get_secret_value()}"}
    if options.bearer is not None:
        return {"Authorization": f"Bearer {options.bearer.get_secret_value()}"}
    return {}


def _context(files: Certificates | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca_file if files is not None else None)
        if files is not None and files.certificate_file is not None:
            secret = files.key_password.get_secret_value() if files.key_password is not None else ""
            context.load_cert_chain(files.certificate_file, files.key_file, lambda: secret)
    except OSError as error:
        raise ConfigurationError(f"tls: {error}") from None
    return context


def _without_answer(error: Exception, host: str, timeout_secs: float) -> Retry:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "")
            return _away(f"{host}: the certificate is not valid: {why}")
        case aiohttp.ClientConnectorError():
            return _away(f"{host}: cannot connect: {error.os_error.strerror or 'no address answers'}")
        case TimeoutError():
            reason = f"{host}: no answer within {timeout_secs:g} s"
            return Retry(Fault.FAILED, reason, kind=Failure.TIMEOUT)
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return Retry(Fault.FAILED, f"{host}: the answer is not valid HTTP")
    return _away(f"{host}: the connection was lost before the answer")


def _away(reason: str) -> Retry:
    return Retry(Fault.UNAVAILABLE, reason, kind=Failure.NETWORK)


def _after_secs(response: aiohttp.ClientResponse) -> float | None:
    asked = response.headers.get("Retry-After", "").strip()
    return min(float(asked), _LONGEST_WAIT_SECS) if re.fullmatch(r"[0-9]{1,9}", asked) else None
