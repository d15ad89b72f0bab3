"""A notice as an event, and that as one CloudEvents 1.0 object in JSON, whatever encoding routes have.

::

    {"specversion": "1.0",
     "id": "5f1c…-12",                            the same for each try
     "source": "/eventbus/eventbus-1",            the daemon's instance
     "type": "eventbus.notice.circuit_opened",
     "datacontenttype": "application/json",
     "time": "2026-08-01T12:00:00.123Z",          when it came about
     "subject": "orders/fulfilment",              subscription and route, or the sink; not for a reload
     "subscription": "orders",                    extension, where it concerns one
     "data": {"kind": …, "subscription": …, "route": …, "sink": …, "reason": …, "since": …, …}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from eventbus.model import Event

__all__ = ["NOTICE", "NoticeEncoder", "notice_event", "told_moment"]

NOTICE: Final = "eventbus.notice"
"""What the types of all notices begin with."""


def notice_event(identity: str, place: int, data: Mapping[str, Any], *, time_secs: float) -> Event:
    """The event that carries a notice.

    Args:
        identity: Names it.
        place: Its place among the notices of the process.
        data: What is said; ``kind``, ``subscription``, ``route`` and ``sink`` are in it.
        time_secs: When it came about, in seconds since 1970.
    """
    time_ms = round(time_secs * 1000)
    return Event(
        token=f"{NOTICE}:{time_ms:014}:{place:012}",
        operation=f"{NOTICE}.{data['kind']}",
        database="",
        collection="",
        time_ms=time_ms,
        document=data,
        key=f"{NOTICE}/{_subject(data)}".encode(),
        id=identity,
    )


class NoticeEncoder:
    """Encodes notices.

    Args:
        instance: Name of the daemon.
    """

    content_type = "application/cloudevents+json"

    def __init__(self, instance: str) -> None:
        self._source = f"/eventbus/{quote(instance, safe='')}"

    def encode(self, event: Event) -> bytes:
        """See `eventbus.sdk.Encoder`."""
        data = event.document
        assert isinstance(data, Mapping)
        subject = _subject(data)
        envelope = {
            "specversion": "1.0",
            "id": event.id,
            "source": self._source,
            "type": event.operation,
            "datacontenttype": "application/json",
            "time": told_moment(event.time_ms / 1000),
            **({"subject": subject} if subject else {}),
            **({"subscription": data["subscription"]} if data["subscription"] else {}),
            "data": data,
        }
        return orjson.dumps(envelope)

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - all is in the body
        """See `eventbus.sdk.Encoder`."""
        return ()


def told_moment(secs: float) -> str:
    """A moment in seconds since 1970 as a notice tells it."""
    return (
        datetime.fromtimestamp(round(secs * 1000) / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _subject(data: Mapping[str, Any]) -> str:
    names = (data["subscription"], data["route"]) if data["subscription"] else (data["sink"],)
    return "/".join(name for name in names if name)
