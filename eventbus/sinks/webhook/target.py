"""Where requests go and what they always carry, with the secrets taken apart from what may be shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from eventbus import __version__
from eventbus.encoding.template import Template
from eventbus.http.dialling import host_of, origin_of
from eventbus.sdk import Event
from eventbus.sinks.webhook.options import WebhookOptions
from eventbus.telemetry.redaction import MASK, redact

__all__ = ["Target", "basic"]

_EXCERPT_BYTES: Final = 200
_SHORTEST_SECRET_IN_PATH: Final = 12
_MOST_HEADS: Final = 4096


class Target:
    """A webhook's address and the headers that all its requests have.

    Args:
        options: What users wrote.
    """

    __slots__ = ("_headers", "_heads", "_method", "_methods", "_url", "origin", "secrets")

    def __init__(self, options: WebhookOptions) -> None:
        text = options.url.get_secret_value()
        url = _url(text)
        self.origin = origin_of(url)
        given = {name: value.get_secret_value() for name, value in options.headers.items()}
        fixed = {"User-Agent": f"eventbus/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
        authorization = _authorization(options, url)
        if authorization is not None:
            fixed["Authorization"] = authorization
        if options.handshake_origin is not None:
            fixed["Origin"] = options.handshake_origin
        lowered = {name.lower() for name in given}
        fixed = {name: value for name, value in fixed.items() if name.lower() not in lowered}
        self.secrets = _pattern(_secrets(options, url, [*given.values(), authorization or ""]))
        self._url = Template(text, _percent_encoded)
        self._headers = {
            name: Template(value, _percent_encoded) for name, value in (_literal(fixed) | given).items()
        }
        self._method, self._methods = options.method, options.methods
        self._heads: dict[tuple[str, str, str], bytes] = {}

    def head(self, event: Event) -> bytes:
        """The beginning of the request that an event goes with: method, path, and what all requests have."""
        kind = (event.operation, event.database, event.collection)
        head = self._heads.get(kind)
        if head is None:
            if len(self._heads) >= _MOST_HEADS:  # a cluster's collections are not bounded
                self._heads.clear()
            method = self._methods.get(event.operation, self._method)
            head = self._heads[kind] = self._made(method, event)
        return head

    def question(self) -> bytes:
        """The beginning of a request that asks what the endpoint can do; its address is no template."""
        return self._made("OPTIONS", _NOTHING)

    def excerpt(self, content: bytes) -> str:
        """The first 200 bytes of an answer's content in one line, without secrets and control characters.

        Servers like to print the request. Secrets are masked before the cut, at equal length, so that none
        is cut in half and shown.
        """
        if self.secrets is not None:
            content = self.secrets.sub(lambda match: b"*" * len(match[0]), content)
        text = redact(content.decode(errors="replace")).encode()[:_EXCERPT_BYTES].decode(errors="ignore")
        shown = "".join(character if character.isprintable() else " " for character in text)
        return re.sub(r"\*{3,}", MASK, " ".join(shown.split()))

    def _made(self, method: str, event: Event) -> bytes:
        url = _url(self._url.render(event))
        lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {host_of(url)}"]
        lines += [f"{name}: {value.render(event)}" for name, value in self._headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")


_NOTHING: Final = Event(token="", operation="", database="", collection="")


def basic(user: str, password: str) -> str:
    """The value of the header ``Authorization`` for a name and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _url(text: str) -> URL:
    """A URL, sent as it was written wherever it can be."""
    return URL(text, encoded=text.isascii())


def _percent_encoded(value: str) -> str:
    return quote(value, safe="")


def _literal(headers: dict[str, str]) -> dict[str, str]:
    """Headers as templates that stand for nothing but themselves."""
    return {name: value.replace("{", "{{").replace("}", "}}") for name, value in headers.items()}


def _authorization(options: WebhookOptions, url: URL) -> str | None:
    if url.user is not None:
        return basic(url.user, url.password or "")
    if options.basic is not None:
        return basic(options.basic.username, options.basic.password.get_secret_value())
    return f"Bearer {options.bearer.get_secret_value()}" if options.bearer is not None else None


def _secrets(options: WebhookOptions, url: URL, header_values: list[str]) -> Iterator[str]:
    """All that must not be shown."""
    yield from _parts_of_headers(header_values)
    yield from _secret_parts(url)
    own: list[SecretStr | None] = [options.bearer]
    own += [options.basic.password] if options.basic is not None else []
    own += [options.oauth2.client_secret] if options.oauth2 is not None else []
    yield from (secret.get_secret_value() for secret in own if secret is not None)


def _parts_of_headers(values: Iterable[str]) -> Iterator[str]:
    """Each value, and what comes after its scheme, as in ``Bearer <token>``."""
    for value in values:
        yield value
        yield value.rpartition(" ")[2]


def _secret_parts(url: URL) -> Iterator[str]:
    """What of an address may be a secret: the password, values of the query, long parts of the path."""
    if url.password:
        yield url.password
    yield from url.query.values()
    for part in url.parts:
        if len(part) >= _SHORTEST_SECRET_IN_PATH:
            yield part


def _pattern(secrets: Iterable[str]) -> re.Pattern[bytes] | None:
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote(secret))}
    longest_first = sorted((form.encode() for form in forms), key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None
