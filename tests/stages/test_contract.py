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
from tests.docs.test_stages_page import EXAMPLES, loaded
from tests.stages.events import config


@dataclass(frozen=True, slots=True)
class Sample:
    """A stage of an example, and the change that the example is about."""

    place: str
    stage: ResolvedStage
    given: Mapping[str, Any]
    collections: Mapping[str, Sequence[Mapping[str, Any]]]

    def make_stage(self, context: StageContext) -> Stage:
        """See `StageHarness`."""
        return self.stage.cls(
            self.stage.options, replace(context, collections=MemoryCollections(self.collections))
        )

    def events(self, changes: Changes) -> Sequence[Event]:
        """See `StageHarness`: the example's change, and ones that have less."""
        meta = {"attributes": {"urgency": "high"}, "removed": ["a.b"]}
        return [
            changes.change("a", **{"document": None, **self.given}),
            changes.change("b", **{"document": None, **self.given, "before": None, **meta}),
            changes.change("c", operation="delete", document=None, before=self.given.get("document")),
        ]

    def __str__(self) -> str:
        return f"{self.stage.type} {self.place}"


def _samples() -> list[Sample]:
    found = []
    for block in EXAMPLES:
        example = loaded(block)
        stages = example["stage"] if isinstance(example["stage"], list) else [example["stage"]]
        given = bson.decode(bson.encode(example["given"]))  # in the types that documents have
        found += [
            Sample(str(block), stage, given, example.get("collections", {}))
            for stage in config(stages).subscriptions["orders"].pipeline
        ]
    return found


SAMPLES = _samples()


def test_every_stage_has_a_sample() -> None:
    """One that is added is checked; its example on the page is its sample."""
    assert {sample.stage.type for sample in SAMPLES} == set(Registry.from_entry_points().stages)


@pytest.mark.parametrize("harness", SAMPLES, ids=str)
class TestBuiltIn(StageContract):
    """All of them."""
