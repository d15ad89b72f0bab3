"""The stage `text`: each step, where its result goes, and what is said of what is no text."""

from __future__ import annotations

import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.stages.texts import EVERYDAY, MARKS_IN_DISGUISE, email_in, phone_in
from tests.stages.events import become, change, pipeline, problem, run


@pytest.mark.parametrize(
    ("steps", "text", "becomes"),
    [
        (["trim"], " \t a b\u00a0\n", "a b"),
        (["lower"], "ÄÖ", "äö"),
        (["upper"], "äö", "ÄÖ"),
        (["title"], "jean-LUC d'arc, don't 2nd übung", "Jean-Luc D'arc, Don't 2nd Übung"),
        (["normalise"], "  A\u030a  b\n\tc ", "Å b c"),
        ([{"normalise": "NFKC"}], "\ufb01ne  \uff11", "fine 1"),
        (["strip_accents"], "Crème Brûlée, Ångström ßø", "Creme Brulee, Angstrom ßø"),
        ([{"split": ","}, "trim"], "a, b ,c", ["a", "b", "c"]),
        ([{"split": ","}, {"split": "-"}], "a-b,c", [["a", "b"], ["c"]]),
        ([{"replace": ".", "with": ""}], "1.000.5", "10005"),
        ([{"extract": "email"}, "lower"], "Jo <JO.X+a@Mail.Example.COM>.", "jo.x+a@mail.example.com"),
        ([{"extract": "email"}, "lower"], "nothing", None),
        (["trim", "upper"], "", ""),
    ],
)
def test_steps(steps: Any, text: str, becomes: Any) -> None:
    """In their order, each on what the one before it gave."""
    found = become(change(document={"a": text}), {"text": {"fields": ["a"], "steps": steps}})
    assert found == {"document": {"a": becomes}}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mail jo@example.com.", "jo@example.com"),
        ("a@b, jo@x.example.org", "jo@x.example.org"),
        ("..jo@example.com", "jo@example.com"),
        ("jo.@example.com", None),
        ("jo@-a.com", None),
        ("jo@example", None),
        ("jo@exa mple.com", None),
        ("@@@", None),
        ("x@" + "a" * 64 + ".com", None),
    ],
)
def test_addresses_of_mail(text: str, address: str | None) -> None:
    """The first that is one."""
    assert email_in(text) == address


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+49 30 1234567", None, "+49301234567"),
        ("+49 (0)30 123 45-67", None, "+49301234567"),
        ("(+49) 30 1234567", None, "+49301234567"),
        ("0049 30/1234567", "1", "+49301234567"),
        ("tel. 030 1234567", "49", "+49301234567"),
        ("030 1234567", None, None),
        ("(555) 123-4567 x", "1", "+15551234567"),
        ("555.123.4567", "1", "+15551234567"),
        ("on 2026-01-31", "49", None),
        ("12345678901234567890", "49", None),
        ("A0301234567", "49", None),
        ("+0 30 1234567", "49", None),
        ("first 12, then +1 555 1234567", "49", "+15551234567"),
        ("+1 234", None, None),
    ],
)
def test_phone_numbers(text: str, country: str | None, number: str | None) -> None:
    """With the country's code; dates and other numbers are none."""
    assert phone_in(text, country) == number


@given(st.text(), st.sampled_from(sorted(EVERYDAY)))
def test_most_steps_done_twice_are_done_once(text: str, word: str) -> None:
    """Cleaning what is clean changes nothing, and what comes out is text that UTF-8 can hold."""
    once = EVERYDAY[word](text)
    if word in {"trim", "normalise", "strip_accents"}:
        assert EVERYDAY[word](once) == once
    once.encode()


@given(st.text(alphabet="+0123456789() -./a@", max_size=200))
def test_whatever_is_found_has_its_form(text: str) -> None:
    """Plus, a country's code, at most 15 digits."""
    number = phone_in(text, "49")
    if number is not None:
        assert number[0] == "+"
        assert number[1:].isdecimal()
        assert 7 <= len(number) - 1 <= 15
        assert number[1] != "0"


@pytest.mark.parametrize("unit", ["a", "@", "a@", "a.", "1", "1 ", "(", "+1", "e\u0301", "a'"])
def test_long_texts_take_time_by_their_length(unit: str) -> None:
    """Four times as long takes nowhere near sixteen times as long."""
    short, long = (_secs(unit * length) for length in (25_000, 100_000))
    assert long < 12 * short + 0.05


def _secs(text: str) -> float:
    begun = time.process_time()
    email_in(text)
    phone_in(text, "49")
    for step in EVERYDAY.values():
        step(text)
    return time.process_time() - begun


_MARKS = "\u0315\u0300"


@pytest.mark.parametrize("step", ["normalise", {"normalise": "NFKC"}, "strip_accents"])
@pytest.mark.parametrize(
    "marks", [_MARKS * 51, "\u0f73" * 101, "\uff9e\u0334" * 51, "\U0001d16d\u034f\U0001d165\u034f" * 51]
)
def test_a_letter_with_more_marks_than_could_be_put_in_order_is_no_text(step: Any, marks: str) -> None:
    """For that takes the square of their number, while nothing else goes on."""
    stage = {"text": {"fields": ["a"], "steps": [step]}}
    found = become(change(document={"a": f"x {marks}"}), stage)
    if "\u034f" in marks and step != "strip_accents":  # it keeps the marks apart, and is one itself
        assert isinstance(found, dict)
    else:
        assert found == "parked: stage text (1): a: a letter has more than 100 marks"


@pytest.mark.parametrize("word", ["normalise", "strip_accents"])
def test_marks_are_counted_by_letter(word: str) -> None:
    """A text may have as many as it likes."""
    stage = {"text": {"fields": ["a"], "steps": [word]}}
    found = become(change(document={"a": f"x{_MARKS * 50}" * 50}), stage)
    assert isinstance(found, dict)


def test_all_that_becomes_marks_is_known() -> None:
    """Whatever Unicode this Python has."""
    every = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    apart = ((one, unicodedata.normalize("NFKD", one)) for one in every if not unicodedata.combining(one))
    assert "".join(one for one, made in apart if unicodedata.combining(made[0])) == MARKS_IN_DISGUISE


def test_a_target_is_a_field_wherever_the_source_is() -> None:
    """In every document, and in what an update set or removed."""
    stage = {"text": {"fields": ["a.x"], "steps": ["upper"], "target": "document.b.y"}}
    event = change(
        document={"a": {"x": "n"}},
        before={"a": {"x": "o"}, "b": {"z": 1}},
        changed={"a.x": {"old": "o", "new": "n"}},
    )
    assert become(event, stage) == {
        "document": {"a": {"x": "n"}, "b": {"y": "N"}},
        "before": {"a": {"x": "o"}, "b": {"z": 1, "y": "O"}},
        "changed": {"a.x": {"old": "o", "new": "n"}, "b.y": {"old": "O", "new": "N"}},
    }
    assert become(change(removed=["a"]), stage) == {"removed": ["a", "b.y"]}
    assert become(change(changed={"a": {"x": "n"}, "b": {}}), stage)["changed"]["b"] == {"y": "N"}
    assert become(change(changed={"c": 1}), stage) == {"changed": {"c": 1}}


def test_a_target_of_an_array_that_was_changed_in_part() -> None:
    """Is told as the document has it, for a part says nothing of the whole."""
    stage = {"text": {"fields": ["a"], "steps": ["upper"], "target": "document.b"}}
    event = change(document={"a": ["x", "y"]}, changed={"a.1": "y"})
    assert become(event, stage)["changed"] == {"a.1": "y", "b": ["X", "Y"]}


def test_a_target_that_is_a_name_is_known_from_there_on() -> None:
    """Null for an event without the field."""
    stage = {"text": {"fields": ["a"], "steps": ["upper"], "target": "shout"}}
    found = become(change(document={"a": "x"}), stage, {"filter": "shout == 'X'"})
    assert found == {"document": {"a": "x"}, "meta": {"shout": "X"}}
    assert become(change(operation="delete"), stage) == {"meta": {"shout": None}}


@pytest.mark.parametrize(
    ("on_invalid", "becomes"),
    [
        ("fail", "parked: stage text (1): a: a number is no text"),
        ("null", {"document": {"a": [None, "X", None]}}),
        ("keep", {"document": {"a": [4711, "X", None]}}),
    ],
)
def test_what_is_no_text(on_invalid: str, becomes: Any) -> None:
    """Is not shown."""
    stage = {"text": {"fields": ["a"], "steps": ["upper"], "on_invalid": on_invalid}}
    assert become(change(document={"a": [4711, "x", None]}), stage) == becomes


def test_an_event_without_the_field_stays_as_it_is() -> None:
    """The bytes are those that the server sent."""
    event = change(document={"b": "x", "a": None})
    (slot,) = run(pipeline({"text": {"fields": ["a"], "steps": ["upper"]}}), [event])
    assert slot.event.document is event.document


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": []}, "must not be empty"),
        ({"steps": ["shout"]}, "expected 'trim', 'lower', 'upper', 'title', 'normalise' or 'strip_accents'"),
        ({"steps": [{}]}, "expected one of normalise, extract, regex, split, replace in each step"),
        ({"steps": [{"split": ",", "extract": "email"}]}, "expected one of normalise, extract"),
        ({"steps": [{"replace": "a"}]}, "replace needs with: what stands there instead"),
        ({"steps": [{"split": "a", "with": "b"}]}, "with belongs to replace or regex"),
        ({"steps": [{"split": "a", "group": 1}]}, "group belongs to a regex that takes something out"),
        ({"steps": [{"extract": "email", "country": "49"}]}, "country belongs to extract: phone"),
        ({"steps": ["trim"], "fields": ["a", "b"], "target": "c"}, "a target takes one field"),
        ({"steps": ["trim"], "target": "document._id"}, "_id names the document"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """In words of the configuration."""
    assert message in problem({"text": {"fields": ["a"], **options}})


def test_composed_letters_stay_composed() -> None:
    """Where they have no accent to lose."""
    assert unicodedata.is_normalized("NFC", EVERYDAY["strip_accents"]("가e\u0301"))
