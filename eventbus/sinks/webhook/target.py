"""Where requests go and what they always carry, with the secrets taken apart from what may be shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from yarl import URL

from eventbus import __version__
from eventbus.sinks.webhook.options import WebhookOptions
from eventbus.telemetry.redaction import MASK, redact

__all__ = ["Target"]

_EXCERPT_BYTES: Final = 200
_SHORTEST_SECRET_IN_PATH: Final = 12


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A webhook's address and fixed headers.

    Args:
        url: Without user name and password.
        host: Where to connect to.
        port: Where to connect to.
        headers: Of every request, the password among them.
        secrets: Matches every byte string that must not be shown; None if there is none.
    """

    url: URL
    host: str
    port: int
    headers: Mapping[str, str]
    secrets: re.Pattern[bytes] | None

    @classmethod
    def of(cls, options: WebhookOptions) -> Target:
        """The target that users described."""
        text = options.url.get_secret_value()
        url = URL(text, encoded=text.isascii())  # sent as it was written, wherever it can be
        given = {name: value.get_secret_value() for name, value in options.headers.items()}
        headers = {"User-Agent": f"eventbus/{__version__}", "Accept-Encoding": "identity"}
        if url.user is not None:
            headers["Authorization"] = _basic(url.user, url.password or "")
        headers = {name: value for name, value in headers.items() if name.lower() not in _lowered(given)}
        secret_values = [*given.values(), headers.get("Authorization", "")]
        secrets = _pattern([*_parts_of_headers(secret_values), *_secret_parts(url)])
        return cls(url.with_user(None), url.raw_host or "", url.port or 0, headers | given, secrets)

    @property
    def endpoint(self) -> str:
        """Host and port, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

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


def _lowered(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


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
