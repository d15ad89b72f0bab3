"""A version names what was written for a route: its subscription and its sink, and no secret of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.fakes import load_text, problems_of

TEXT = """
mongodb: {uri: "mongodb://localhost"}
sinks:
  feed: {type: feed, path: "${P}", limit: 3}
  other: {type: feed, path: b}
subscriptions:
  orders: {source: {database: shop}, routes: [feed]}
  others: {source: {database: shop}, routes: [other]}
"""


def version(folder: Path, text: str = TEXT, variable: str = "a") -> str:
    (route,) = load_text(text, folder, {"P": variable}).subscriptions["orders"].routes
    return route.version


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("limit: 3", "limit: 4"),
        ("limit: 3", "limit: 3, sync: true"),
        ("${P}", "${P}x"),
        ("routes: [feed]", "routes: [{sink: feed}]"),
        ("orders: {source: {database: shop}", "orders: {source: {database: bank}"),
    ],
)
def test_it_changes_with_what_is_written(tmp_path: Path, written: str, instead: str) -> None:
    assert version(tmp_path, TEXT.replace(written, instead)) != version(tmp_path)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('path: "${P}", limit: 3', 'limit: 3, path: "${P}"'),
        ("sinks:", "# a comment\n\nsinks:"),
        ("path: b", "path: c"),
        ("others: {source: {database: shop}", "others: {source: {database: bank}"),
    ],
)
def test_it_stays_where_nothing_changed(tmp_path: Path, written: str, instead: str) -> None:
    assert version(tmp_path, TEXT.replace(written, instead)) == version(tmp_path)
    assert len(version(tmp_path)) == 12


def test_it_does_not_depend_on_secrets(tmp_path: Path) -> None:
    assert version(tmp_path, variable="hunter2") == version(tmp_path, variable="hunter3")


def test_a_retention_is_a_duration_or_never(tmp_path: Path) -> None:
    (problem,) = problems_of(TEXT + "defaults: {dead_letters: {retention: 30}}", tmp_path, {"P": "a"})
    assert "defaults.dead_letters.retention: expected never, or a duration with its unit" in problem
    assert problems_of(TEXT + "defaults: {dead_letters: {retention: 0d}}", tmp_path, {"P": "a"})
