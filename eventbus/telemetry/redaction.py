"""Secrets never leave the process in text: one function masks what a URI hides.

Every text for people passes through here: problems of a configuration, log lines, reasons of failures. It
knows URIs only. Values that came from a variable or a file are masked where they are known, in `config`.
It must never raise, and where a text is ambiguous it masks too much rather than too little.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "redact"]

MASK: Final = "***"

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://)")
_AUTHORITY: Final = re.compile(r"[^\s/?#'\"<>]*")
_TOKEN: Final = re.compile(r"[^\s'\"<>]*")
_LINE: Final = re.compile(r"[^\n]*")
_HOSTS: Final = re.compile(
    r"(?:\[[^\]]*\]|[^:,@\[\]]*)(?::\d{0,5})?(?:,(?:\[[^\]]*\]|[^:,@\[\]]*)(?::\d{0,5})?)*"
)
_SECRET_PARAMETER: Final = re.compile(
    r"([?&;][^=&;\s]*(?:passw|secret|token|signature|api_?key|access_?key|authmechanismproperties)[^=&;\s]*=)[^&;\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with the password of every URI in it replaced by ``***``, and secret-looking parameters too.

    A password that was not percent-encoded, with ``/``, ``@``, ``:`` or a space in it, is masked as well:
    such a URI is broken, and it is broken URIs that end up in error messages.
    """
    if "://" not in text:
        return text
    before, *rest = _SCHEME.split(text)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    masked = before + "".join(scheme + _mask_userinfo(scheme, tail) for scheme, tail in pairs)
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", masked)


def _mask_userinfo(scheme: str, tail: str) -> str:
    """`tail` is what follows a scheme, up to the next scheme or the end of the text."""
    end = _end_of_userinfo(scheme, tail)
    colon = tail.find(":", 0, max(end, 0))
    if colon < 0:
        return tail
    return f"{tail[: colon + 1]}{MASK}{tail[end:]}"


def _end_of_userinfo(scheme: str, tail: str) -> int:
    """Index of the ``@`` that ends user name and password; -1 where there are none."""
    authority = _matched(_AUTHORITY, tail)
    if "@" in authority:
        return _matched(_TOKEN, tail).rfind("@")
    if ":" not in authority:
        return -1
    if not _HOSTS.fullmatch(authority):
        return _matched(_LINE, tail).rfind("@")
    if scheme.lower() in ("http://", "https://") and authority.partition(":")[0]:
        return -1  # host:port/…@… is a common path of the web; elsewhere it is a password with a slash
    return _matched(_TOKEN, tail).rfind("@")


def _matched(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.match(text)
    return match.group() if match else ""
