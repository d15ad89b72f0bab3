"""The JSON modes: one golden line for each type of BSON, and whatever else documents may hold."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import bson
import orjson
import pytest
from bson import Int64, ObjectId, json_util
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings

from eventbus.encoding.extended import canonical_extended_json
from eventbus.encoding.json import relaxed_json
from eventbus.encoding.plain import plain_json
from eventbus.errors import EncodingError
from eventbus.model import Section
from tests.sources.bson_values import DOCUMENTS

GOLDEN = json.loads((Path(__file__).parent / "golden/json_modes.json").read_text())
MODES: dict[str, Callable[[Section], bytes]] = {
    "canonical": canonical_extended_json,
    "relaxed": relaxed_json,
    "plain": plain_json,
}
TYPES = {
    *("double", "string", "object", "array", "binary", "undefined", "objectId", "bool", "date", "null"),
    *("regex", "dbPointer", "javascript", "symbol", "javascript with scope", "int", "timestamp", "long"),
    *("decimal", "minKey", "maxKey"),
}
"""https://www.mongodb.com/docs/manual/reference/bson-types/"""


def _strictly(text: bytes) -> Any:
    """As a reader takes it that follows the standard; Python's own would take NaN as well."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GOLDEN)
def test_each_type_has_its_form(name: str, mode: str) -> None:
    """From raw BSON, whatever order the keys of a tree are looked at."""
    line = GOLDEN[name]
    raw = bytes.fromhex(line["bson"])
    expected = {"v": line[mode]}
    assert _strictly(MODES[mode](raw)) == expected
    assert repr(_strictly(MODES[mode](raw))) == repr(expected), "1.0 is not 1, and -0.0 is not 0.0"


def test_every_type_of_bson_is_there() -> None:
    """By its alias in the manual."""
    assert {name.partition(",")[0] for name in GOLDEN} >= TYPES


@settings(max_examples=50)
@given(DOCUMENTS)
def test_canonical_text_gives_back_the_very_document(document: dict[str, Any]) -> None:
    """The driver's own reader decides."""
    text = canonical_extended_json(bson.encode(document))
    back = bson.encode(json_util.loads(text.decode(), json_options=_CANONICAL))
    assert canonical_extended_json(back) == text


_CANONICAL = json_util.CANONICAL_JSON_OPTIONS.with_options(
    datetime_conversion=bson.DatetimeConversion.DATETIME_MS, document_class=dict
)
_TYPED = bson.CodecOptions[dict[str, Any]](datetime_conversion=bson.DatetimeConversion.DATETIME_MS)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=50)
@given(document=DOCUMENTS)
def test_any_document_is_json_that_every_reader_holds(mode: str, document: dict[str, Any]) -> None:
    """Raw, decoded, and as part of a larger one, it is the same."""
    raw = bson.encode(document)
    text = MODES[mode](raw)
    _strictly(text)
    decoded = bson.decode(raw, _TYPED)
    assert MODES[mode](decoded) == text
    assert MODES[mode]({"v": RawBSONDocument(raw)}) == b'{"v":%b}' % text


@settings(max_examples=50)
@given(DOCUMENTS)
def test_no_plain_number_is_more_than_a_double_holds(document: dict[str, Any]) -> None:
    """JavaScript would round it without a word."""
    for number in _numbers(_strictly(plain_json(bson.encode(document)))):
        assert isinstance(number, float) or abs(number) < 2**53
        assert math.isfinite(number)


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.mark.parametrize("mode", MODES)
def test_what_has_no_form_is_an_encoding_error(mode: str) -> None:
    """Its text shows nothing of the value."""
    broken = b"\x0e\0\0\0\x02v\0\x02\0\0\0\xff\0\0"
    with pytest.raises(EncodingError, match="not valid BSON"):
        MODES[mode](broken)
    with pytest.raises(EncodingError, match="a value of type object") as caught:
        MODES[mode]({"secret": object()})
    assert "secret" not in str(caught.value)
    assert MODES[mode](None) == b"null"


@pytest.mark.parametrize("mode", MODES)
def test_deep_documents_are_whole(mode: str) -> None:
    """Deeper than a server stores, and than the C driver's printer goes before it breaks off."""
    document: dict[str, Any] = {"_id": ObjectId()}
    for _ in range(220):
        document = {"a": document, "b": Int64(1)}
    text = MODES[mode](bson.encode(document))
    if mode != "canonical":
        assert text.count(b'"b":1') == 220
    assert text.count(b'"a":') == 220


def test_nan_deep_in_a_document_is_text() -> None:
    """Beside a real null, and in an array."""
    raw = bson.encode({"a": [None, {"b": float("nan")}], "c": Int64(2**60)})
    assert orjson.loads(plain_json(raw)) == {"a": [None, {"b": "NaN"}], "c": str(2**60)}
