"""docs/errors.md is the table of the code, and none of its claims is invented."""

from __future__ import annotations

from eventbus.sources.mongodb.errors import LABELS, TABLE, Reaction
from tests.docs.errors_page import BY_THE_SERVER, PAGE, WHAT_IS_DONE, rendered
from tests.docs.pages import tables
from tests.sources.faults import NOT_INJECTABLE


def test_the_page_is_up_to_date() -> None:
    """Run python -m tests.docs.errors_page when the table has changed."""
    assert PAGE.read_text() == rendered()


def test_every_row_is_on_the_page_once() -> None:
    """Under the heading of its reaction."""
    page = tables(PAGE)
    listed = [(int(row[0]), reaction) for reaction in Reaction for row in page[f"`{reaction}`"]]
    assert sorted(listed) == sorted((row.code, row.reaction) for row in TABLE)
    assert {row[0].strip("`"): row[1].strip("`") for row in page["Labels"]} == LABELS


def test_what_is_said_about_tests_is_about_rows() -> None:
    """A code that leaves the table leaves these lists as well."""
    codes = {row.code for row in TABLE}
    assert codes >= BY_THE_SERVER
    assert codes >= NOT_INJECTABLE.keys()
    assert not BY_THE_SERVER & NOT_INJECTABLE.keys()
    assert WHAT_IS_DONE.keys() == set(Reaction)
