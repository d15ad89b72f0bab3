"""A file of cases, read and checked, with the configuration that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eventbus.cases.given import Origin, checked_events
from eventbus.cases.models import Case, CaseFile
from eventbus.config import Config, ResolvedSubscription, load
from eventbus.config.checking import check
from eventbus.config.nodes import MappingNode, Node, Place, descend
from eventbus.config.nodes import Path as Steps
from eventbus.config.problems import Problems
from eventbus.config.reading import read_file
from eventbus.model import Event
from eventbus.registry import Registry
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.suggestions import did_you_mean, listed

__all__ = ["FileOfCases", "WrittenCase", "read_cases"]


@dataclass(frozen=True, slots=True)
class WrittenCase:
    """A case, where it stands, and its changes.

    Args:
        case: What was written.
        line: The line where it begins.
        events: Its changes as events.
    """

    case: Case
    line: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class FileOfCases:
    """What a file of cases holds.

    Args:
        file: The file.
        config: The configuration that it names.
        subscription: Name of the subscription.
        collections: What stages find that look something up.
        cases: Its cases, in their order.
    """

    file: Path
    config: Config
    subscription: str
    collections: Mapping[str, Sequence[Mapping[str, Any]]]
    cases: Sequence[WrittenCase]


def read_cases(file: Path, registry: Registry) -> FileOfCases:
    """The cases of a file.

    Raises:
        ConfigurationError: It, or the configuration that it names, is wrong; each problem with its place.
    """
    problems = Problems()
    root = read_file(file, problems, "keys, such as config, subscription and cases")
    written = check(CaseFile, root, (), problems, place=root.place) if root is not None else None
    problems.raise_any()
    assert root is not None
    assert written is not None
    names = [written.config] if isinstance(written.config, str) else written.config
    config = load([file.parent / name for name in names], registry, written.env)
    reading = _Reading(root, written, problems)
    subscription = reading.subscription(config)
    cases = list(reading.cases(subscription)) if subscription is not None else []
    collections = reading.collections()
    problems.raise_any()
    return FileOfCases(file, config, written.subscription, collections, cases)


class _Reading:
    """What ties a file of cases to its configuration; what does not fit is noted at its place."""

    def __init__(self, root: MappingNode, written: CaseFile, problems: Problems) -> None:
        self._root = root
        self._written = written
        self._problems = problems

    def subscription(self, config: Config) -> ResolvedSubscription | None:
        name, known = self._written.subscription, config.subscriptions
        if name not in known:
            self._wrong(
                ("subscription",),
                f"no subscription is named {name!r}{did_you_mean(name, known)} (known: {listed(known)})",
            )
            return None
        return known[name]

    def collections(self) -> dict[str, list[dict[str, Any]]]:
        """With the types of BSON."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, documents in self._written.collections.items():
            for index, document in enumerate(documents):
                try:
                    found.setdefault(name, []).append(bson_values(document))
                except ValueError as error:
                    self._wrong(("collections", name, index), str(error))
            found.setdefault(name, [])
        return found

    def cases(self, subscription: ResolvedSubscription) -> Iterator[WrittenCase]:
        routes = [route.name for route in subscription.routes]
        for index, case in enumerate(self._written.cases):
            path: Steps = ("cases", index)
            for name in case.expect.messages:
                self._check_route(name, (*path, "expect", name), routes)
            for place, parked in enumerate(case.expect.parked):
                self._check_route(parked.route, (*path, "expect", "parked", place, "route"), routes)
            for place, name in enumerate(case.only or ()):
                self._check_route(name, (*path, "only", place), routes)
            events = checked_events(
                case.given,
                Origin(subscription.source.options),
                partial(self._wrong_given, path),
            )
            yield WrittenCase(case, self._place(path).line, events)

    def _check_route(self, name: str | None, path: Steps, routes: Sequence[str]) -> None:
        if name is not None and name not in routes:
            guess = did_you_mean(name, routes)
            what = f"subscription {self._written.subscription} has no route {name!r}{guess}"
            self._wrong(path, f"{what} (known: {listed(routes)})")

    def _wrong_given(self, path: Steps, steps: Steps, message: str) -> None:
        self._wrong((*path, "given", *steps), message)

    def _wrong(self, path: Steps, message: str) -> None:
        self._problems.add(self._place(path), path, message)

    def _place(self, path: Steps) -> Place:
        node: Node = self._root
        place = node.place
        for step in path:
            inner = descend(node, step)
            if inner is None:
                break
            place = node.keys.get(str(step), inner.place) if isinstance(node, MappingNode) else inner.place
            node = inner
        return place
