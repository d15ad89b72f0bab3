"""Asks an endpoint whether it wants events, as CloudEvents' protection against abuse has it.

https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection: the answer must
name us, and may bound the rate. An endpoint that answers by calling back later is not waited for: it is asked
again, like any that is not there.
"""

from __future__ import annotations

from eventbus.core.rate import Bucket
from eventbus.http.client import Client
from eventbus.http.connection import Reply
from eventbus.http.faults import NoReply
from eventbus.sdk import Failure, Fault, Retry

__all__ = ["Permission", "ask"]


class Permission:
    """An endpoint's word that it wants events.

    Args:
        per_minute: How many requests a minute it allows; None for no bound.
    """

    def __init__(self, per_minute: float | None) -> None:
        self.per_minute = per_minute
        self._bucket = Bucket(per_minute / 60) if per_minute is not None else None

    async def take_turn(self) -> None:
        """Wait until one more request is allowed."""
        if self._bucket is not None:
            await self._bucket.take(1)


async def ask(client: Client, question: bytes, origin: str) -> Permission:
    """Ask for permission.

    Args:
        client: Sends the question.
        question: Its head, as far as all requests have it.
        origin: Our name.

    Raises:
        NoReply: There is none, now.
    """
    reply = await client.request(
        question + f"WebHook-Request-Origin: {origin}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    if not 200 <= reply.status < 300:
        raise _refused(f"answered {reply.status}")
    allowed = _header(reply, b"webhook-allowed-origin")
    if allowed != "*" and allowed.lower() != origin.lower():
        raise _refused("does not name it in WebHook-Allowed-Origin")
    return Permission(_rate(_header(reply, b"webhook-allowed-rate")))


def _header(reply: Reply, name: bytes) -> str:
    return reply.headers.get(name, b"").decode("latin-1").strip()


def _rate(text: str) -> float | None:
    """Requests a minute; None for ``*``, for none and for what is no number."""
    return float(text) if text.isascii() and text.isdigit() and int(text[:9]) > 0 else None


def _refused(why: str) -> NoReply:
    reason = f"no permission to send events under our name, the endpoint {why}"
    return NoReply(Retry(Fault.UNAUTHORISED, reason, kind=Failure.UNAUTHORISED))
