"""The stage `mask`: nothing of a hidden value is left anywhere, and what was hidden is told."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import bson
import pytest

from tests.stages.events import become, change, config, problem

SALT = "a salt of the tests"


@pytest.mark.parametrize(
    ("how", "value", "becomes"),
    [
        ("null", "secret", None),
        ("redact", "Jö 4@x.de", "** *@*.**"),
        ("redact", 4711, None),
        ("redact", {"a": "secret"}, None),
        ({"constant": 0}, "secret", 0),
        ("hash", "secret", hmac.new(SALT.encode(), b'"secret"', sha256).hexdigest()),
    ],
)
def test_each_way_hides_the_value(how: Any, value: Any, becomes: Any) -> None:
    """In every section, and the rest stays as it is, with its types."""
    parts = {"a": value, "b": bson.Decimal128("1.5")}
    found = become(
        change(document=parts, before=parts, changed=parts), {"mask": {"fields": {"a": how}, "salt": SALT}}
    )
    assert found.pop("meta") == {"masked": ["a"]}
    assert set(found) == {"document", "before", "changed"}
    assert all(section == {"a": becomes, "b": bson.Decimal128("1.5")} for section in found.values())


def test_tokens_are_equal_for_equal_values_and_for_no_others() -> None:
    """Numbers that MongoDB takes for equal have one token; another salt gives another one."""
    fields = dict.fromkeys("abcd", "tokenise")
    event = change(document={"a": 1, "b": 1.0, "c": "1", "d": bson.Int64(1)})
    tokens = become(event, {"mask": {"fields": fields, "salt": SALT}})["document"]
    others = become(event, {"mask": {"fields": fields, "salt": "another"}})["document"]
    assert tokens["a"] == tokens["b"] == tokens["d"] != tokens["c"]
    assert tokens["a"] != others["a"]


@pytest.mark.parametrize(
    "changed",
    [
        {"who.card.number": "4111"},
        {"who.card": {"number": "4111"}},
        {"who": {"card": {"number": "4111"}}},
        {"who": [{"card": {"number": "4111"}}, {"card": {"number": "4111"}}]},
        {"who.0.card.number": "4111"},
        {"who.card.number.digits": "4111"},
        {"who.card": {"old": {"number": "4111"}, "new": {"number": "4111"}}},
        {"who": {"old": {"card": {"number": "4111"}}}},
        {"who.card.number": {"old": "4111", "new": "4111"}},
    ],
)
def test_a_field_is_hidden_wherever_an_update_touched_it(changed: dict[str, Any]) -> None:
    """Above it, at it, below it, in arrays; and on both sides where old and new values are told."""
    found = become(change(changed=changed), {"mask": {"fields": {"who.card.number": "redact"}}})
    assert found["meta"] == {"masked": ["who.card.number"]}
    assert "4111" not in str(found["changed"])
    assert "****" in str(found["changed"])


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("items.0.card", {"document": {"items": [{"card": "4111"}, {"card": "else"}]}}),
        ("tags.1", {"document": {"tags": ["else", "4111"]}}),
        ("a.0.1.b", {"document": {"a": [[{"b": "else"}, {"b": "4111"}]]}}),
        ("who.card", {"document": {"who.card": "4111"}}),
        ("who.card.number", {"before": {"who": {"card.number": "4111"}}}),
        ("who.card.number", {"changed": {"who": {"card.number": "4111"}}}),
        ("who.old", {"changed": {"who": {"old": {"old": "4111"}, "new": {"old": "4111"}}}}),
        ("who.new.card", {"changed": {"who": {"old": "else", "new": {"new": {"card": "4111"}}}}}),
        ("who.old", {"changed": {"who": {"old": "4111", "new": "else"}}}),
    ],
)
def test_whatever_a_path_may_mean_is_hidden(path: str, parts: Any) -> None:
    """A place in an array, a name with a dot in it, a field that is called as the sides of a delta are."""
    found = become(change(**parts), {"mask": {"fields": {path: {"constant": "x"}}}})
    assert found["meta"] == {"masked": [path]}
    assert "4111" not in str(found)
    assert ("else" in str(found)) == ("else" in str(parts))


def test_an_event_without_the_field_stays_as_it_is() -> None:
    """And says nothing; null is nothing to hide."""
    event = change(document={"b": 1, "a": None})
    assert become(event, {"mask": {"fields": {"a": "null"}}}) == {"document": {"b": 1, "a": None}}


def test_several_stages_tell_all_that_they_hid() -> None:
    """Each adds its own, and conditions may ask for it."""
    stages: list[Any] = [{"mask": {"fields": {name: "null"}}} for name in "ba"]
    found = become(change(document={"a": 1, "b": 2}), *stages, {"filter": "'a' in masked"})
    assert found["meta"] == {"masked": ["a", "b"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {"a": "hash"}}, "a needs a salt"),
        ({"fields": {"a": "tokenise"}, "salt": ""}, "a needs a salt"),
        ({"fields": {"_id": "null"}}, "_id names the document: it stays as it is"),
        ({"fields": {"a..b": "null"}}, "expected a path of a field, such as payment.status"),
        (
            {"fields": {"document.a": "null"}},
            "a path begins within the document: write a (or document.document.a",
        ),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """Without the salt in it."""
    assert message in problem({"mask": options})


def test_a_salt_is_shown_to_nobody() -> None:
    """Not where the configuration is printed."""
    made = config([{"mask": {"fields": {"a": "hash"}, "salt": SALT}}]).subscriptions["orders"].pipeline[0]
    assert SALT not in repr(made.options)
