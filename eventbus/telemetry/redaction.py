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

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_UP_TO_NEXT_URI: Final = re.compile(r".*?(?=[\s,'\"<>][A-Za-z][A-Za-z0-9+.\-]*://|$)")
_AUTHORITY: Final = re.compile(r"[^\s/?#'\"<>]*")
_TOKEN: Final = re.compile(r"[^\s'\"<>]*")
_LINE: Final = re.compile(r"[^\n]*")
_HOST: Final = r"(?:\[[^\]]*\]|[^:,@\[\]]*)(?::\d{0,5})?"
_HOSTS: Final = re.compile(rf"{_HOST}(?:,{_HOST})*")
_SECRET_PARAMETER: Final = re.compile(
    r"([?&;][^=&;\s]*(?:passw|secret|token|signature|api_?key|access_?key|authmechanismproperties)[^=&;\s]*=)[^&;\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with the password of every URI in it replaced by ``***``, and secret-looking parameters too.

    A password that was not percent-encoded, with ``/``, ``@``, ``:`` or a space in it, is masked as well:
    such a URI is broken, and it is broken URIs that end up in error messages.
    """
    shown = ""
    at = 0
    while match := _SCHEME.search(text, at):
        start = match.end()
        end = start + _end_of_userinfo(match.group(), text[start:])
        colon = text.find(":", start, max(end, start))
        if colon < 0:
            shown, at = shown + text[at:start], start
        else:
            shown, at = f"{shown}{text[at : colon + 1]}{MASK}", end
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", shown + text[at:])


def _end_of_userinfo(scheme: str, tail: str) -> int:
    """Index in `tail`, which follows a scheme, of the ``@`` after user name and password; -1 if none."""
    authority = _matched(_AUTHORITY, tail)
    near = _matched(_TOKEN, _matched(_UP_TO_NEXT_URI, tail))
    if "@" in authority:
        return near.rfind("@")
    if ":" not in authority:
        return -1
    if not _HOSTS.fullmatch(authority):
        return _matched(_LINE, tail).rfind("@")
    if scheme.lower() in ("http://", "https://") and authority.partition(":")[0]:
        return -1  # host:port/…@… is a common path of the web; elsewhere it is a password with a slash
    return near.rfind("@")


def _matched(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.match(text)
    return match.group() if match else ""
