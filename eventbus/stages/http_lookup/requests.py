"""Which request an event makes: equal ones are one question."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from yarl import URL

from eventbus import __version__
from eventbus.encoding.body import body_template
from eventbus.encoding.keys import KeyTemplate
from eventbus.encoding.plain import plain_json
from eventbus.http.dialling import host_of, origin_of
from eventbus.sdk import Event, StageContext
from eventbus.stages.each import StageError
from eventbus.stages.http_lookup.options import HttpLookupOptions, parted

__all__ = ["Request", "Requests"]

_DOTS = frozenset({".", ".."})


class Request(NamedTuple):
    """One question.

    Args:
        target: Path and query.
        body: The content.
    """

    target: str
    body: bytes


class Requests:
    """Makes requests of events.

    Args:
        options: What users wrote.
        context: What every stage is given.
    """

    def __init__(self, options: HttpLookupOptions, context: StageContext) -> None:
        origin, rest = parted(options.url.get_secret_value())
        url = URL(origin)
        self.origin = origin_of(url)
        self.shown = f"{url.scheme}://{host_of(url)}{rest.partition('?')[0]}"
        """The address for people, with names in place of values, and without its query."""
        self._target = KeyTemplate(rest, lambda value: quote(value, safe=""))
        self._dots = _dots_in(rest)
        self._body = _body(options, context)
        self._method = options.method
        self._headers = _headers(options, host_of(url))

    def request(self, event: Event) -> Request | None:
        """The request of an event; None if a value of its address is null or missing.

        Raises:
            StageError: Its values lead elsewhere.
            EncodingError: The event cannot be read.
        """
        target = self._target.render(event)
        if target is None:
            return None
        if _dots_in(target) > self._dots:
            raise StageError("url: a part of its path would be . or .., which leads elsewhere")
        return Request(target, self._body(event))

    def head(self, request: Request) -> bytes:
        """Request line and headers, with the empty line behind them."""
        lines = [f"{self._method} {request.target} HTTP/1.1", *self._headers]
        lines += [f"Content-Length: {len(request.body)}"] if self._method == "POST" else []
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _dots_in(target: str) -> int:
    """How many parts of a path stand for another place in it."""
    return sum(part in _DOTS for part in target.partition("?")[0].split("/"))


def _headers(options: HttpLookupOptions, host: str) -> list[str]:
    given = {name: value.get_secret_value() for name, value in options.headers.items()}
    usual = {"User-Agent": f"eventbus/{__version__}", "Accept": "application/json"}
    lowered = {name.lower() for name in given}
    headers = {name: value for name, value in usual.items() if name.lower() not in lowered} | given
    headers |= {"Host": host, "Accept-Encoding": "identity"}
    headers |= {"Content-Type": "application/json"} if options.method == "POST" else {}
    return [f"{name}: {value}" for name, value in headers.items()]


def _body(options: HttpLookupOptions, context: StageContext) -> Callable[[Event], bytes]:
    if options.body is None:
        return lambda _: b""
    return body_template(options.body, plain_json, subscription=context.subscription, service=context.service)
