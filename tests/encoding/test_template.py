"""Templates are checked when they are read and never fail on an event."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from eventbus.encoding import template
from eventbus.encoding.template import Template, TemplateText
from eventbus.model import Event


class _Options(BaseModel):
    topic: TemplateText


def _event(collection: str = "orders") -> Event:
    return Event(token="82", operation="insert", database="shop", collection=collection)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("events", "events"),
        ("{database}.{collection}", "shop.orders"),
        ("a-{operation}-b", "a-insert-b"),
        ("{{{collection}}}", "{orders}"),
        ("{collection}{collection}", "ordersorders"),
    ],
)
def test_names_in_braces_are_replaced(text: str, expected: str) -> None:
    """Doubled braces stand for themselves."""
    assert Template(_Options(topic=text).topic).render(_event()) == expected


def test_values_are_cleaned_and_the_rest_is_not() -> None:
    """The text of the configuration is not the template's to change."""
    assert Template("-{collection}-", clean=str.upper).render(_event()) == "-ORDERS-"
    assert Template("a{collection}b{database}").literals == "ab"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{colection}", "unknown name {colection}; known are collection, database, operation"),
        ("{}", "unknown name {}"),
        ("{0}", "unknown name {0}"),
        ("{collection.__class__}", "unknown name {collection.__class__}"),
        ("{collection!r}", "unknown name {collection}"),
        ("{collection:>10}", "unknown name {collection}"),
        ("{collection", "write {{ and }} for braces"),
        ("collection}", "write {{ and }} for braces"),
        ("", "must not be empty"),
    ],
)
def test_mistakes_are_errors_of_the_configuration(text: str, message: str) -> None:
    """With the names that there are."""
    with pytest.raises(ValidationError) as caught:
        _Options(topic=text)
    assert message in str(caught.value)


def test_results_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster may have any number of collections."""
    monkeypatch.setattr(template, "_MOST_RESULTS", 4)
    made = Template("{collection}")
    assert [made.render(_event(f"c{number % 7}")) for number in range(20)] == [f"c{n % 7}" for n in range(20)]
    assert len(made._results) <= 4
