"""Every built-in stage keeps the contract of stages, with the options of each example on docs/stages.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bson
import pytest

from eventbus.config.resolved import ResolvedStage
from eventbus.registry import Registry
from eventbus.sdk import Event, Stage, StageContext
from eventbus.stages.memory import MemoryCollections
from eventbus.testing import Changes, StageContract
from tests.docs.test_stages_page import EXAMPLES, given_in, loaded, stages_of
from tests.stages.events import config


@dataclass(frozen=True, slots=True)
class Sample:
    """A stage of an example, and the change that the example is about."""

    place: str
    is_of_route: bool
    stage: ResolvedStage
    given: Sequence[Mapping[str, Any]]
    collections: Mapping[str, Sequence[Mapping[str, Any]]]

    def make_stage(self, context: StageContext) -> Stage:
        """See `StageHarness`."""
        return self.stage.cls(
            self.stage.options, replace(context, collections=MemoryCollections(self.collections))
        )

    def events(self, changes: Changes) -> Sequence[Event]:
        """See `StageHarness`: the example's changes, and ones that have less."""
        meta = {"attributes": {"urgency": "high"}, "removed": ["a.b"]}
        first = self.given[0]
        return [
            *(changes.change("a", **{"document": None, **given}) for given in self.given),
            changes.change("b", **{"document": None, **first, "before": None, **meta}),
            changes.change("c", operation="delete", document=None, before=first.get("document")),
        ]

    def __str__(self) -> str:
        return f"{self.stage.type} {self.place}"


def _samples() -> list[Sample]:
    found = []
    for block in EXAMPLES:
        example = loaded(block)
        given = [_in_types_of_documents(parts) for parts in given_in(example)]
        stages = stages_of(example)
        made = config([], {"pipeline": stages}) if example.get("of_route") else config(stages)
        subscription = made.subscriptions["orders"]
        found += [
            Sample(str(block), bool(example.get("of_route")), stage, given, example.get("collections", {}))
            for stage in [*subscription.pipeline, *subscription.routes[0].pipeline]
        ]
    return found


def _in_types_of_documents(parts: Mapping[str, Any]) -> dict[str, Any]:
    time = {name: part for name, part in parts.items() if name == "cluster_time"}
    return bson.decode(bson.encode({name: part for name, part in parts.items() if name not in time})) | time


SAMPLES = _samples()


def test_every_stage_has_a_sample() -> None:
    """One that is added is checked; its example on the page is its sample."""
    assert {sample.stage.type for sample in SAMPLES} == set(Registry.from_entry_points().stages)


@pytest.mark.parametrize("harness", [sample for sample in SAMPLES if not sample.is_of_route], ids=str)
class TestBuiltIn(StageContract):
    """Those that look at each event by itself."""


@pytest.mark.parametrize("harness", [sample for sample in SAMPLES if sample.is_of_route], ids=str)
class TestRemembering(StageContract):
    """Those that belong to a route."""

    remembers = True
