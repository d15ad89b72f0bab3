"""What differs between what is expected and what happened, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from eventbus.cases.models import Case, ExpectedMessage, ExpectedParked
from eventbus.cases.running import Happened, ParkedEvent
from eventbus.cases.telling import told_data, written_data
from eventbus.config.nodes import Path
from eventbus.config.problems import path_text

__all__ = ["Difference", "differences"]

_MISSING: Final = object()
_PARTS: Final = ("id", "target", "key", "headers", "body")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it is expected.

    Args:
        path: Where, such as ``ledger[0].body.total``.
        expected: What is expected there, as people read it.
        got: What there is.
    """

    path: str
    expected: str
    got: str


def differences(case: Case, happened: Happened) -> list[Difference]:
    """All that is not as a case expects it; none if the case holds."""
    return [Difference(path_text(path), expected, got) for path, expected, got in _all(case, happened)]


_Found = Iterator[tuple[Path, str, str]]


def _all(case: Case, happened: Happened) -> _Found:
    expect = case.expect
    if expect.stopped is not None or happened.stopped is not None:
        yield from _text_in(("stopped",), expect.stopped, happened.stopped)
    for name, messages in happened.messages.items():
        if case.only is None or name in case.only:
            yield from _messages(name, expect.messages.get(name, []), messages, case)
    parked = [one for one in happened.parked if case.only is None or one.route in {None, *case.only}]
    yield from _parked(expect.parked, parked)
    if expect.dropped is not None and expect.dropped != happened.dropped:
        yield ("dropped",), str(expect.dropped), str(happened.dropped)


def _messages(
    name: str, expected: Sequence[ExpectedMessage], told: Sequence[Mapping[str, Any]], case: Case
) -> _Found:
    for index, (one, message) in enumerate(zip(expected, told, strict=False)):
        is_exact = case.exact if one.exact is None else one.exact
        for part in _PARTS:
            if part in one.model_fields_set:
                wanted = written_data(getattr(one, part))
                is_data = part == "key" and not isinstance(wanted, str)
                got = told_data(message[part]) if is_data else message[part]
                yield from _value((name, index, part), wanted, got, is_exact=is_exact)
    for index in range(len(told), len(expected)):
        yield (name, index), "a message", "none"
    for index in range(len(expected), len(told)):
        yield (name, index), "no message", _shown({part: told[index][part] for part in ("key", "body")})


def _parked(expected: Sequence[ExpectedParked], got: Sequence[ParkedEvent]) -> _Found:
    for index, (one, parked) in enumerate(zip(expected, got, strict=False)):
        path: Path = ("parked", index)
        given = one.model_fields_set
        if "route" in given and one.route != parked.route:
            yield (*path, "route"), one.route or "every route", parked.route or "every route"
        if "reason" in given:
            yield from _text_in((*path, "reason"), one.reason, parked.reason)
        if "kind" in given and one.kind != parked.kind:
            yield (*path, "kind"), str(one.kind), parked.kind
        if "event" in given and one.event != parked.event:
            yield (*path, "event"), str(one.event), str(parked.event)
    for index in range(len(got), len(expected)):
        yield ("parked", index), "a dead letter", "none"
    for index in range(len(expected), len(got)):
        parked = got[index]
        where = f"on {parked.route}" if parked.route is not None else "on every route"
        yield ("parked", index), "no dead letter", f"change {parked.event} {where}: {parked.reason}"


def _text_in(path: Path, expected: str | None, got: str | None) -> _Found:
    if expected is None or got is None or expected not in got:
        yield path, _shown(expected), _shown(got)


def _value(path: Path, expected: Any, got: Any, *, is_exact: bool) -> _Found:
    """A mapping may have more than is expected of it, unless it is exact; all else is equal."""
    match expected, got:
        case Mapping(), Mapping():
            for name, inner in expected.items():
                yield from _value((*path, name), inner, got.get(name, _MISSING), is_exact=is_exact)
            if is_exact:
                for name in got.keys() - expected.keys():
                    yield (*path, name), "nothing", _shown(got[name])
        case list(), list() if len(expected) == len(got):
            for index, (inner, item) in enumerate(zip(expected, got, strict=True)):
                yield from _value((*path, index), inner, item, is_exact=is_exact)
        case list(), list():
            yield path, f"{len(expected)} items", f"{len(got)}: {_shown(got)}"
        case _ if not _is_same(expected, got):
            yield path, _shown(expected), _shown(got)


def _is_same(expected: Any, got: Any) -> bool:
    """Numbers may be written either way; true is no number."""
    return isinstance(expected, bool) == isinstance(got, bool) and bool(expected == got)


def _shown(value: Any) -> str:
    return "nothing" if value is _MISSING else orjson.dumps(value).decode()
