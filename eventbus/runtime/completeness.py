"""Tells a sink up to when everything was delivered or parked, so that its readers can close their books."""

from __future__ import annotations

from datetime import UTC, datetime

from eventbus.model import ClusterTime, Event, Position

__all__ = ["WATERMARK", "Completeness", "told_time"]

WATERMARK = "eventbus.watermark"
"""The operation of the event that tells it, and its type in every envelope."""


class Completeness:
    """What one route has said of its completeness.

    Ranges are contiguous within one life of a route. After a restart the first one begins at the stored
    position, which may lie before the end of the last that was told.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        start: Where the route begins.
    """

    def __init__(self, subscription: str, route: str, start: Position) -> None:
        self._subscription = subscription
        self._route = route
        self._told = start
        self._events = 0

    def statement(self, watermark: Position, events: int) -> Event | None:
        """The event that says it; None if there is nothing new to say.

        Args:
            watermark: Everything up to here is delivered, parked or filtered.
            events: How many were delivered or parked up to there, since the route began.
        """
        if watermark.token == self._told.token or watermark.cluster_time is None:
            return None
        document = {
            "route": self._route,
            "from": told_time(self._told.cluster_time),
            "to": told_time(watermark.cluster_time),
            "events": events - self._events,
        }
        return Event(
            token=f"{watermark.token}:{WATERMARK}:{self._subscription}:{self._route}",
            operation=WATERMARK,
            database="",
            collection="",
            cluster_time=watermark.cluster_time,
            time_ms=watermark.cluster_time.seconds * 1000,
            document=document,
            key=f"{self._subscription}/{self._route}".encode(),
        )

    def told(self, watermark: Position, events: int) -> None:
        """The sink has it."""
        self._told = watermark
        self._events = events


def told_time(time: ClusterTime | None) -> dict[str, object] | None:
    """A cluster time as events of our own tell it: for people, and exactly."""
    if time is None:
        return None
    at = datetime.fromtimestamp(time.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"time": at, "clustertime": f"{time.seconds}.{time.increment}"}
