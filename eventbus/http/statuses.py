"""The status of an answer in words of our own: the server's phrase may hold anything."""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["answered"]


def answered(status: int) -> str:
    """What was answered, such as ``answered 404 Not Found``."""
    try:
        return f"answered {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"answered {status}"
