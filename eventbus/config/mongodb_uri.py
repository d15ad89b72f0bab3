"""Whether a text can be a MongoDB URI, without a look into DNS and without a word of what is secret in it."""

from __future__ import annotations

import re
import warnings
from typing import Final
from urllib.parse import unquote_plus

from pydantic import SecretStr
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from eventbus.telemetry.redaction import MASK

__all__ = ["checked_mongodb_uri"]

_SCHEME: Final = re.compile(r"mongodb(?:\+srv)?://")
_SRV_OPTION: Final = re.compile(r"(?<=[?&])srv\w+=[^&]*&?", re.IGNORECASE)
_SECRET_OPTION: Final = re.compile(r"(?:authmechanismproperties|password)=", re.IGNORECASE)
_ESCAPE: Final = "in the user name and the password each of : / ? # [ ] @ % must be percent-encoded"


def checked_mongodb_uri(uri: SecretStr) -> SecretStr:
    """The same URI.

    Raises:
        ValueError: It cannot be one; the text names neither user nor password.
    """
    text = uri.get_secret_value()
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise ValueError("expected a URI that begins with mongodb:// or mongodb+srv://")
    try:
        with warnings.catch_warnings(action="ignore"):  # the client says them again when it is made
            parse_uri("mongodb://" + _SRV_OPTION.sub("", text[scheme.end() :]))
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        raise ValueError(f"not a MongoDB URI: {_reason(text[scheme.end() :], str(error))}") from None
    return uri


def _reason(rest: str, said: str) -> str:
    """What the driver said, unless it might quote a piece of something secret."""
    authority, *later = re.split("[/?#]", rest, maxsplit=1)
    if "RFC 3986" in said or "@" in "".join(later):
        return _ESCAPE
    if _SECRET_OPTION.search(rest):
        return "one of its options is wrong"
    userinfo = authority.rpartition("@")[0]
    for part in (userinfo, *userinfo.split(":"), *map(unquote_plus, userinfo.split(":"))):
        said = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", MASK, said) if part else said
    return said.partition(" or maybe ")[0]  # what follows is for programmers
