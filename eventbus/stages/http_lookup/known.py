"""Answers that need not be asked for again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import anyio
from cachetools import TTLCache

from eventbus.stages.http_lookup.answers import Answer, Away, Found, Missing
from eventbus.stages.http_lookup.options import HttpLookupCache
from eventbus.stages.http_lookup.requests import Request

__all__ = ["Known"]

_IN_HAND_SECS: Final = 60.0
_MOST_IN_HAND: Final = 100_000

_Cache: TypeAlias = TTLCache[Request, Answer]


class Known:
    """Answers by their questions: those that are taken for true, and those for batches that are not done.

    A batch that has to be tried again needs fewer answers each time, however short they are taken for true.

    Args:
        options: How long they are.
    """

    def __init__(self, options: HttpLookupCache) -> None:
        self._found: _Cache = TTLCache(options.entries, options.ttl, timer=anyio.current_time)
        self._missing: _Cache = TTLCache(options.entries, options.missing_ttl, timer=anyio.current_time)
        self._in_hand: _Cache = TTLCache(_MOST_IN_HAND, _IN_HAND_SECS, timer=anyio.current_time)

    def answer(self, request: Request) -> Answer | None:
        """The answer, if it is known."""
        return self._found.get(request) or self._missing.get(request) or self._in_hand.get(request)

    def keep(self, request: Request, answer: Answer) -> None:
        """Take an answer for true."""
        match answer:
            case Found():
                self._found[request] = answer
            case Missing():
                self._missing[request] = answer
            case Away():
                return
        self._in_hand[request] = answer

    def done(self, requests: Iterable[Request]) -> None:
        """A batch needs them no more."""
        for request in requests:
            self._in_hand.pop(request, None)
