"""Asks the API: one page at a time, with what its answer means for whoever asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
from yarl import URL

from eventbus.sdk import ConfigurationError, Unreachable
from eventbus_source_http.options import HttpSourceOptions
from eventbus_source_http.places import MISSING, at_path, since_of

__all__ = ["Api", "Page", "Refusal"]

_LARGEST_BODY: Final = 64 << 20
_LONGEST_WAIT_SECS: Final = 3600.0
_PASSING: Final = frozenset({408, 421, 425, 429})
_ENDED: Final = frozenset({400, 404, 410})
"""What may be said of a cursor that is good for a while only."""
_NOT_MODIFIED: Final = 304


class Refusal(Unreachable):
    """The API does not answer now, and may have said for how long.

    Args:
        text: What is wrong, without anything of the answer.
        wait_secs: For how long it asks to be left alone; None if it does not say.
    """

    def __init__(self, text: str, wait_secs: float | None = None) -> None:
        super().__init__(text)
        self.wait_secs = wait_secs


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    Args:
        items: The items, as they came; none if nothing is new.
        next: Address of the next page; None if this is the last one.
        present: The API's clock.
        etag: By which it knows the same answer again.
        is_new: False if the answer is the one that `etag` stands for.
    """

    items: list[Any]
    next: URL | None
    present: datetime
    etag: str | None = None
    is_new: bool = True


class Api:
    """The connection to one API; opened on first use."""

    def __init__(self, options: HttpSourceOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._place = f"{options.url.scheme}://{options.url.host}:{options.url.port}{options.url.path or ''}"

    def first(self, value: int) -> URL:
        """Address of the first page of items from a value on."""
        options = self._options
        wanted = {options.since_parameter: since_of(value, options.order)}
        if options.size_parameter:
            wanted[options.size_parameter] = str(options.page_size)
        return URL(str(options.url)).update_query(wanted)

    async def page(self, url: URL, etag: str | None = None, *, is_first: bool = True) -> Page:
        """Ask for one page.

        Args:
            url: Its address.
            etag: What the answer that is known already was told by.
            is_first: Whether it is a first page: the address of a further one may be good for a while only.

        Raises:
            Refusal: It does not answer now, or with nothing that can be read.
            ConfigurationError: It refuses the request, and would again.
        """
        try:
            async with self._opened().get(url, headers=self._headers(etag), allow_redirects=False) as answer:
                present = _date(answer.headers.get("Date")) or datetime.now(UTC)
                if answer.status == _NOT_MODIFIED and etag is not None:
                    return Page([], None, present, etag, is_new=False)
                self._judge(answer, present, is_first)
                body = await self._body(answer)
                return Page(
                    self._items(body), self._next(answer, url, body), present, answer.headers.get("ETag")
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refusal(f"{self._place}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._options.timeout))
        return self._session

    def _headers(self, etag: str | None) -> Mapping[str, str]:
        headers = {"Accept": "application/json"}
        headers.update({name: value.get_secret_value() for name, value in self._options.headers.items()})
        if self._options.token is not None:
            headers["Authorization"] = f"Bearer {self._options.token.get_secret_value()}"
        if etag is not None:
            headers["If-None-Match"] = etag
        return headers

    def _judge(self, answer: aiohttp.ClientResponse, present: datetime, is_first: bool) -> None:
        status, wait = answer.status, answer.headers.get("Retry-After")
        if status == 200:
            return
        told = f"{self._place} answers {status}"
        is_asked_to_wait = status >= 400 and wait is not None
        if status in _PASSING or status >= 500 or is_asked_to_wait:
            raise Refusal(told, _wait_secs(wait, present))
        if status in _ENDED and not is_first:
            raise Refusal(f"{told} to the address of a further page: the first one is asked for again")
        if 300 <= status < 400:
            raise ConfigurationError(f"{told}: it leads elsewhere; write the address that it leads to")
        raise ConfigurationError(f"{told}: look at url, token, headers and the names of parameters")

    async def _body(self, answer: aiohttp.ClientResponse) -> Any:
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > _LARGEST_BODY:
                raise ConfigurationError(f"{self._place}: a page has more than 64 MiB; ask for smaller ones")
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Refusal(f"{self._place}: the answer is no JSON") from error

    def _items(self, body: Any) -> list[Any]:
        items = at_path(body, self._options.items)
        if not isinstance(items, list):
            where = f"at {self._options.items!r}" if self._options.items else "as a whole"
            raise ConfigurationError(
                f"{self._place}: the answer {where} is no list; look at the option items"
            )
        return items

    def _next(self, answer: aiohttp.ClientResponse, url: URL, body: Any) -> URL | None:
        options = self._options
        if options.next_cursor:
            cursor = at_path(body, options.next_cursor)
            if cursor in (MISSING, None, "") or cursor is False:
                return None
            return url.update_query({options.cursor_parameter: str(cursor)})
        try:
            found = self._link(answer, url, body)
            is_elsewhere = found is not None and found.origin() != url.origin()
        except ValueError:
            raise ConfigurationError(f"{self._place}: the next page has no address of HTTP") from None
        if is_elsewhere:
            raise ConfigurationError(f"{self._place}: the next page is on another server, which is not asked")
        return found

    def _link(self, answer: aiohttp.ClientResponse, url: URL, body: Any) -> URL | None:
        if self._options.next_link:
            link = at_path(body, self._options.next_link)
            return url.join(URL(link)) if isinstance(link, str) and link else None
        link = answer.links["next"]["url"] if "next" in answer.links else None
        return link if isinstance(link, URL) else None


def _date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value) if value is not None else None
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date is not None and date.tzinfo is None else date


def _wait_secs(value: str | None, present: datetime) -> float | None:
    """What ``Retry-After`` asks for (RFC 9110, section 10.2.3): seconds or a date, and an hour at most."""
    if value is not None and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(float(value), _LONGEST_WAIT_SECS)
    date = _date(value)
    return min(max((date - present).total_seconds(), 0.0), _LONGEST_WAIT_SECS) if date is not None else None
