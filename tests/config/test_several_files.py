"""Several files make one configuration; what two of them give is an error that names both places."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.config import Config, load
from eventbus.errors import ConfigurationError
from tests.config.fakes import REGISTRY

BASE = """\
mongodb: {uri: "mongodb://localhost"}
sinks:
  feed: {type: feed, path: x}
subscriptions:
  orders: {source: {}, routes: [feed, archive]}
"""
MORE = """\
server: {port: 1}
sinks:
  archive: {type: feed, path: "${ARCHIVE}"}
subscriptions:
  customers: {source: {}, routes: [archive, feed]}
"""


def load_all(folder: Path, *texts: str) -> Config:
    files = [folder / f"{number}.yaml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return load(files, REGISTRY, {"ARCHIVE": "y"})


def problems(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_all(folder, *texts)
    return [line.replace(f"{folder}/", "") for line in caught.value.problems]


def test_sections_are_joined(tmp_path: Path) -> None:
    config = load_all(tmp_path, BASE, MORE)

    assert config.server.port == 1
    assert list(config.sinks) == ["feed", "archive"]
    assert list(config.subscriptions) == ["orders", "customers"]
    assert [route.sink for route in config.subscriptions["customers"].routes] == ["archive", "feed"]


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    one, other = load_all(tmp_path, BASE, MORE), load_all(tmp_path, MORE, BASE)

    assert dict(one.sinks) == dict(other.sinks)
    assert dict(one.subscriptions) == dict(other.subscriptions)


def test_the_same_name_or_section_twice(tmp_path: Path) -> None:
    again = "mongodb: {}\nsinks: {feed: {type: feed}}\nsubscriptions: {orders: 5}\nserver: {}\n"

    assert problems(tmp_path, BASE, MORE, again) == [
        "2.yaml:1:1: mongodb: already given at 0.yaml:1:1",
        "2.yaml:2:9: sinks.feed: already declared at 0.yaml:3:3",
        "2.yaml:3:17: subscriptions.orders: already declared at 0.yaml:5:3",
        "2.yaml:4:1: server: already given at 1.yaml:1:1",
    ]


def test_each_problem_names_its_file(tmp_path: Path) -> None:
    route, sink = problems(tmp_path, BASE.replace("archive", "archve"), MORE.replace("type", "tpe"))

    assert route.startswith("0.yaml:5:39: subscriptions.orders.routes[1]: sink 'archve' is not declared")
    assert sink == "1.yaml:3:3: sinks.archive: missing required key 'type' (known types: feed, hook, rude)"


def test_the_same_file_twice(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(BASE)

    with pytest.raises(ConfigurationError, match="mongodb: already given at"):
        load([file, file], REGISTRY, {})


def test_a_file_that_does_not_parse_hides_the_others_but_not_its_equals(tmp_path: Path) -> None:
    """What a broken file would have declared is unknown, so that nothing is said about references."""
    found = problems(tmp_path, BASE, "sinks: [", "a: b: c")

    assert [line.partition(" YAML")[0] for line in found] == ["1.yaml:1:9:", "2.yaml:1:5:"]


def test_an_empty_file_adds_nothing(tmp_path: Path) -> None:
    assert load_all(tmp_path, BASE, MORE, "", "# a comment\n").server.port == 1


def test_a_section_that_is_no_mapping(tmp_path: Path) -> None:
    assert "1.yaml:1:1: sinks: already given at 0.yaml:2:1" in problems(tmp_path, BASE, "sinks: 5")
