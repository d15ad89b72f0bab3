"""Who may ask: tokens, by what name the server is called, and how often.

A token is needed for everything but health, and for metrics if that is configured; on loopback too, for other
users of the machine, and pages in a browser, reach it there. It comes in the Authorization header and nowhere
else, so that no address in a log or a history has one.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import re
import time
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from eventbus.api.limits import Limits
from eventbus.api.problems import Refused
from eventbus.config.models import ServerSection
from eventbus.suggestions import listed

__all__ = ["Access", "Caller"]

log = structlog.get_logger("eventbus.api")

_DEFAULT_RATE: Final = 50.0
_NAMES: Final = ("server.host_names",)
_WRONG_EACH_SEC: Final = 0.2
_WRONG_AT_ONCE: Final = 10
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:\d{1,5})?")
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the token that was shown.

    Args:
        name: Name of the token.
        may_write: Whether it may act.
    """

    name: str
    may_write: bool


class Access:
    """Decides about requests; it answers none.

    Args:
        server: The section of the configuration.
    """

    def __init__(self, server: ServerSection) -> None:
        self._tokens = [
            (token.token.get_secret_value().encode(), Caller(token.name, token.scope == "write"))
            for token in server.tokens
        ]
        self._names = {name.lower() for name in server.host_names}
        self._any_name = not server.is_local and not self._names
        rate = server.rate or _DEFAULT_RATE
        self._asked = Limits(rate, max(1.0, 2 * rate), time.monotonic)
        self._wrong = Limits(_WRONG_EACH_SEC, _WRONG_AT_ONCE, time.monotonic)

    def check_name(self, request: web.Request) -> None:
        """Refuse a request to another name, as a page makes one whose own name was bound to this address.

        Raises:
            Refused: The server is not called so.
        """
        match = _HOST.fullmatch(request.headers.get("Host", ""))
        name = match[1].strip("[]").rstrip(".").lower() if match else ""
        if not name or not (
            self._any_name or name == "localhost" or name in self._names or _is_address(name)
        ):
            raise Refused(
                "wrong_host",
                f"the Host header is none of localhost, an address, {listed(self._names or _NAMES)}",
            )

    def caller_of(self, request: web.Request) -> Caller:
        """Who asks.

        Raises:
            Refused: No token was shown, or a wrong one, or it was shown too often.
        """
        if "Origin" in request.headers:
            raise Refused("cross_origin", "requests with an Origin header are refused: no page is to ask")
        shown = _BEARER.fullmatch(",".join(request.headers.getall("Authorization", [])).strip())
        caller = self._known(shown[1]) if shown else None
        if caller is None:
            raise self._unknown(request)
        _check_rate(self._asked, f"{caller.name} {request.remote}")
        return caller

    def is_secret(self, text: str) -> bool:
        """Whether a token stands in a text."""
        written = text.encode("utf-8", "surrogateescape")
        return any(token in written for token, _ in self._tokens)

    def _known(self, shown: str) -> Caller | None:
        """Whose token it is. Every one is compared, in a time that says nothing about it."""
        written = shown.encode("utf-8", "surrogateescape")
        found = None
        for token, caller in self._tokens:
            if hmac.compare_digest(token, written):
                found = caller
        return found

    def _unknown(self, request: web.Request) -> Refused:
        """What whoever has no token hears; too many of them hear nothing new, and are not logged."""
        _check_rate(self._wrong, str(request.remote))
        log.warning("api_token_refused", client=request.remote)
        if not self._tokens:
            text = "no token is configured, so nobody may ask: see server.tokens"
        else:
            text = "send one that server.tokens has in the header 'Authorization: Bearer <token>'"
        return Refused("unauthenticated", text, headers={"WWW-Authenticate": 'Bearer realm="eventbus"'})


def _check_rate(limits: Limits, caller: str) -> None:
    wait_secs = limits.refused_for(caller)
    if wait_secs:
        whole = math.ceil(wait_secs)
        raise Refused("too_many_requests", f"ask again in {whole} s", headers={"Retry-After": str(whole)})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
