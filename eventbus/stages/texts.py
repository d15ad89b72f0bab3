"""What can be done to a text, and found in one; no step looks at it for longer than its length allows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from eventbus.stages.fields import UnfitValue

__all__ = ["EVERYDAY", "MARKS_IN_DISGUISE", "Everyday", "email_in", "normalised", "phone_in"]

Everyday: TypeAlias = Literal["trim", "lower", "upper", "title", "normalise", "strip_accents"]
"""Steps that need no more than their name."""

_MOST_MARKS: Final = 100
"""So many accents and other marks may follow a letter: putting them in order takes the square of their
number; a format for streams has 30 (https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format)."""
_TOO_MANY_MARKS: Final = re.compile(rb"[^\0]{%d}" % (_MOST_MARKS + 1))
MARKS_IN_DISGUISE: Final = "\u0f73\u0f75\u0f81\uff9e\uff9f"
"""What becomes marks and nothing else when it is taken apart, and is none before."""

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}\Z")
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}(?![A-Za-z0-9-])"
)
_LONGEST_LOCAL: Final = 64
_LONGEST_DOMAIN: Final = 254
_PHONE: Final = re.compile(r"(?<![\w+])[+(]?[0-9(][0-9 ()./\u00a0-]{4,30}(?![0-9])")
_NOT_A_DIGIT: Final = re.compile(r"[^0-9]")
_MOST_DIGITS: Final = 15
"""Of a number after E.164, its country's code included."""
_LEAST_DIGITS: Final = 7
_LEAST_WITHOUT_A_SIGN: Final = 9
"""So many digits make a phone number of what begins with neither + nor 0; fewer may be a date or a price."""


def normalised(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """The text in one form of Unicode's, each run of white space one space, and none at its ends.

    Raises:
        UnfitValue: A letter of it has too many marks.
    """
    return " ".join(_in_form(form, text).split())


def _in_form(form: Literal["NFC", "NFKC", "NFD"], text: str) -> str:
    """The text in a form of Unicode's, in time linear in its length.

    Raises:
        UnfitValue: As above.
    """
    if len(text) > _MOST_MARKS and not text.isascii():
        looked_at = text
        for mark in MARKS_IN_DISGUISE:
            looked_at = looked_at.replace(mark, "\u0300")
        if _TOO_MANY_MARKS.search(bytes(map(unicodedata.combining, looked_at))):
            raise UnfitValue(f"a letter has more than {_MOST_MARKS} marks")
    return unicodedata.normalize(form, text)


def _title(text: str) -> str:
    return _WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text)


def _without_accents(text: str) -> str:
    apart = _in_form("NFD", text)
    kept = "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")
    return _in_form("NFC", kept)


EVERYDAY: Final[Mapping[str, Callable[[str], str]]] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "title": _title,
    "normalise": normalised,
    "strip_accents": _without_accents,
}


def email_in(text: str) -> str | None:
    """The first address of mail in a text."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text[max(0, at - _LONGEST_LOCAL) : at])
        domain = _DOMAIN.match(text[at + 1 : at + 1 + _LONGEST_DOMAIN])
        if local and domain and not local[0].endswith("."):
            return f"{local[0]}@{domain[0]}"
        at = text.find("@", at + 1)
    return None


def phone_in(text: str, country: str | None) -> str | None:
    """The first phone number in a text, in the form of E.164: ``+493012345``.

    Args:
        text: What people write.
        country: The calling code of numbers that name none; None leaves these aside.
    """
    return next(_phones(text, country), None)


def _phones(text: str, country: str | None) -> Iterator[str]:
    for found in _PHONE.finditer(text):
        number = _international(found[0], country)
        if number is not None and _LEAST_DIGITS <= len(number) <= _MOST_DIGITS:
            yield f"+{number}"


def _international(written: str, country: str | None) -> str | None:
    """The digits from the country's code on."""
    has_code = written.lstrip("(").startswith(("+", "00"))
    digits = _NOT_A_DIGIT.sub("", written.replace("(0)", "") if has_code else written)
    if has_code:
        digits = digits.removeprefix("00")
        return digits if not digits.startswith("0") else None
    if country is None:
        return None
    if digits.startswith("0"):
        return country + digits[1:]
    return country + digits if len(digits) >= _LEAST_WITHOUT_A_SIGN else None
