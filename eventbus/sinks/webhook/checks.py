"""Whether addresses, headers and secrets are what they must be. No text repeats what was written."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from eventbus.encoding.template import Template
from eventbus.http.checks import checked_token, checked_url
from eventbus.sinks.webhook.signing import check_secret

__all__ = [
    "AnswerName",
    "Header",
    "Host",
    "Secret",
    "UrlTemplate",
]

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ANSWER: Final = re.compile(r"[345](xx|[0-9]{2})")


def _checked_url_template(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        literals = Template(text).literals
    except ValueError as error:
        raise ValueError(str(error) if "known are" in str(error) else "unmatched braces") from None
    origin = re.match(r"[^/]*//[^/?#]*", text)
    if origin is not None and "{" in origin[0]:
        raise ValueError("names in braces may stand in the path and in the query only")
    checked_url(SecretStr(literals))
    return value


def _checked_secret(value: SecretStr) -> SecretStr:
    check_secret(value.get_secret_value())
    return value


def _checked_header_value(value: SecretStr) -> SecretStr:
    try:
        Template(value.get_secret_value())
    except ValueError as error:
        raise ValueError(str(error) if "known are" in str(error) else "unmatched braces") from None
    return checked_token(value)


def _checked_answer(name: str) -> str:
    if not _ANSWER.fullmatch(name):
        raise ValueError("expected a status such as 404, or a hundred of them such as 4xx, from 300 on")
    return name


def _checked_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("expected a name in the DNS, such as eventbus.example.com")
    return text


UrlTemplate = Annotated[SecretStr, AfterValidator(_checked_url_template)]
Secret = Annotated[SecretStr, AfterValidator(_checked_secret)]
Header = Annotated[SecretStr, AfterValidator(_checked_header_value)]
AnswerName = Annotated[str, AfterValidator(_checked_answer)]
Host = Annotated[str, AfterValidator(_checked_host)]
