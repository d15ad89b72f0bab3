"""Patterns find what Python's own engine finds, in time linear in the text, and refuse what they lack."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.state.pattern import Pattern

ATOMS = st.sampled_from(
    ["a", "B", "é", "\n", " ", r"\.", r"\d", r"\W", r"\s", ".", "[a-c]", "[^b]", "^", "$"]
)
SOURCES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map("(?:{})".format),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map("({}){{1,2}}".format),
    ),
    max_leaves=8,
)
TEXTS = st.text(st.sampled_from("abBcé.1 _\n"), max_size=8)


@settings(max_examples=600, deadline=None)
@given(SOURCES, TEXTS, st.sets(st.sampled_from("ims")))
def test_it_finds_what_other_engines_find(source: str, text: str, options: set[str]) -> None:
    """But for Python's ideas of letters beyond ASCII, and of a line after the last newline."""
    flags = re.ASCII | sum(getattr(re, option.upper()) for option in options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = re.search(_as_python_has_it(source, options), text, flags)
    assert Pattern(source, "".join(options)).search(text) == bool(expected)


def _as_python_has_it(source: str, options: set[str]) -> str:
    source = re.sub(r"(?<![\[\\])\^", r"(?:^(?!(?<=\\n)\\Z))", source) if "m" in options else source
    return re.sub("é", "[éÉ]", source) if "i" in options else source


@pytest.mark.parametrize(
    ("source", "options", "text", "expected"),
    [
        ("", "", "", True),
        ("connection refused", "", "x: connection refused", True),
        ("Refused", "", "refused", False),
        ("Refused", "i", "REFUSED", True),
        ("ÄRGER", "i", "ärger", True),
        ("[ß-ý]", "i", "É", True),
        ("^HTTP 5[0-9]{2}$", "", "HTTP 503", True),
        ("^HTTP 5[0-9]{2}$", "", "HTTP 5031", False),
        ("a$", "", "a\n", True),
        ("a$", "", "a\nb", False),
        ("a$", "m", "a\nb", True),
        ("^$", "m", "a\n", False),
        ("a.b", "", "a\nb", False),
        ("a.b", "s", "a\nb", True),
        ("a b # a comment", "x", "ab", True),
        ("a +?", "x", "aaa", True),
        ("[]a]", "", "a", None),
        (r"[\]a]", "", "]", True),
        ("[a-]", "", "-", True),
        (r"[^\s\d]", "", " 1\n", False),
        (r"[\d-]", "", "-", True),
        ("a{2,}", "", "baa", True),
        ("a{,2}", "", "a{,2}", True),
        ("a{x}", "", "a{x}", True),
        ("(?:a|bc)+d", "", "abcbcad", True),
        (r"\\", "", "\\", True),
        (r"\t", "", "\t", True),
        ("😀+", "", "😀😀", True),
    ],
)
def test_what_a_pattern_means(source: str, options: str, text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="empty"):
            Pattern(source, options)
    else:
        assert Pattern(source, options).search(text) is expected


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        ("(a", "", "not closed"),
        ("a)", "", "no group to close"),
        ("[a", "", "not closed"),
        ("[b-a]", "", "no proper end"),
        (r"[a-\d]", "", "no proper end"),
        ("[[:alpha:]]", "", "named sets"),
        ("*a", "", "nothing that \\*"),
        ("^*", "", "place cannot be repeated"),
        ("a**", "", "repeated"),
        ("a++", "", "repeated"),
        ("a{2,1}", "", "wrong way round"),
        ("a\\", "", "ends in a"),
        (r"\b", "", r"\\b is not supported"),
        (r"(a)\1", "", r"\\1 is not supported"),
        ("(?=a)", "", "only"),
        ("(?i)a", "", "only"),
        ("a", "iu", "no option 'u'"),
        ("a" * 501, "", "longer than"),
        ("(((a{100}){100}){100}){100}", "", "too large"),
        ("(" * 30 + "a" + ")" * 30, "", "too deeply"),
        ("\ud800", "", "surrogate"),
        (r"\W" * 250, "", "too large"),
    ],
)
def test_what_is_refused(source: str, options: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Pattern(source, options)


@pytest.mark.parametrize(
    "source", ["(a+)+b", "(a|a)*b", "(.*a){12}b", "a?{20}".replace("?{", "{0,") + "a{20}b"]
)
def test_no_pattern_takes_more_steps_than_the_text_has_characters(source: str) -> None:
    """Python's engine would need centuries for each of these."""
    pattern = Pattern(source)
    steps = 0
    advance = pattern._program.advance

    def counted(*args: object) -> object:
        nonlocal steps
        steps += 1
        return advance(*args)  # type: ignore[arg-type]  # handed on as they came

    object.__setattr__(pattern, "_program", type("Counted", (), {"advance": staticmethod(counted)})())
    assert not pattern.search("a" * 4000)
    assert steps <= 4001
