"""Access tokens by OAuth 2.0 client credentials: asked for once, kept until shortly before they expire.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

import anyio
import orjson
from yarl import URL

from eventbus.http.client import Client
from eventbus.http.connection import Reply
from eventbus.http.dialling import origin_of
from eventbus.http.faults import NoReply
from eventbus.sdk import Failure, Fault, Retry
from eventbus.sinks.webhook.options import OAuth2
from eventbus.sinks.webhook.target import basic

__all__ = ["Tokens"]

_USUAL_LIFE_SECS: Final = 300.0
"""Where the server does not say how long a token is good."""
_MARGIN: Final = 0.9
"""A token is not used in the last tenth of its life: clocks differ, and requests take their time."""


class Tokens:
    """The token that requests show at the moment.

    Args:
        options: Where to get it.
        client: Sends requests to that place.
    """

    def __init__(self, options: OAuth2, client: Client) -> None:
        self._client = client
        self._head, self._form = _request(options)
        self._token: str | None = None
        self._good_until = 0.0
        self._asking = anyio.Lock()

    async def current(self) -> str:
        """A token, asked for if there is none that is good: once, however many need it.

        Raises:
            NoReply: There is none to be had.
        """
        if (token := self._good()) is not None:
            return token
        async with self._asking:
            if (token := self._good()) is not None:
                return token
            try:
                reply = await self._client.request(self._head, self._form)
            except NoReply as error:
                raise _without_token(error.outcome.reason, error.outcome.fault, error.outcome.kind) from None
            asked_at = anyio.current_time()
            self._token, life_secs = _token_in(reply)
            self._good_until = asked_at + _MARGIN * life_secs
            return self._token

    def refused(self, token: str) -> None:
        """The endpoint does not take a token: the next one is a new one."""
        if token == self._token:
            self._token = None

    def _good(self) -> str | None:
        return self._token if anyio.current_time() < self._good_until else None


def _request(options: OAuth2) -> tuple[bytes, bytes]:
    """Head and form of the question for a token."""
    url = URL(options.token_url.get_secret_value())
    secret = options.client_secret.get_secret_value()
    form = {"grant_type": "client_credentials"}
    form |= {"scope": options.scope} if options.scope is not None else {}
    form |= {"audience": options.audience} if options.audience is not None else {}
    authorization = ""
    if options.credentials == "body":
        form |= {"client_id": options.client_id, "client_secret": secret}
    else:  # each part in the form's own encoding, as section 2.3.1 has it
        pair = basic(quote(options.client_id, safe=""), quote(secret, safe=""))
        authorization = f"Authorization: {pair}\r\n"
    body = urlencode(form).encode()
    head = (
        f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {origin_of(url)}\r\n{authorization}"
        "Accept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii"), body


def _token_in(reply: Reply) -> tuple[str, float]:
    if reply.status != 200:
        if reply.status == 429 or reply.status >= 500:
            raise _without_token(f"answered {reply.status}", Fault.UNAVAILABLE, Failure.SERVER)
        raise _without_token(f"answered {reply.status}", Fault.UNAUTHORISED, Failure.UNAUTHORISED)
    try:
        answer: Any = orjson.loads(reply.content)
        token = answer["access_token"]
        life_secs = float(answer.get("expires_in", _USUAL_LIFE_SECS))
    except (ValueError, TypeError, KeyError, AttributeError):
        token, life_secs = "", 0.0
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise _without_token("gave none", Fault.UNAUTHORISED, Failure.UNAUTHORISED)
    return token, life_secs


def _without_token(reason: str, fault: Fault, kind: Failure) -> NoReply:
    return NoReply(Retry(fault, f"no access token, the server for it: {reason}", kind=kind))
