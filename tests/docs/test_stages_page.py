"""Every example of docs/stages.md does what the page says, and every stage has one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from bson import json_util

from eventbus.model import ClusterTime
from eventbus.stages.memory import MemoryCollections
from tests.docs.answers import served
from tests.docs.options import built_in
from tests.docs.pages import ROOT, Block, blocks
from tests.stages.events import change, pipeline, route_pipeline, run, told

PAGE = ROOT / "docs/stages.md"
EXAMPLES = blocks("yaml", PAGE)


_FOLDER: Final = tempfile.TemporaryDirectory()


def loaded(block: Block) -> dict[str, Any]:
    """The example, in Extended JSON where YAML has no such type; its files and answers are there."""
    found: dict[str, Any] = json_util.loads(
        json_util.dumps(yaml.safe_load(served(block))),
        json_options=json_util.JSONOptions(tz_aware=False),
    )
    if "files" in found:
        found["stage"]["python"]["file"] = str(_written(found["files"], found["stage"]["python"]["file"]))
    return found


def _written(files: dict[str, str], name: str) -> Path:
    """The file of that name, written down with the others."""
    folder = Path(_FOLDER.name) / sha256(repr(files).encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    for one, text in files.items():
        (folder / one).write_text(text)
    return folder / name


def stages_of(example: Mapping[str, Any]) -> list[Any]:
    """The stages of an example, in their order."""
    return example["stage"] if isinstance(example["stage"], list) else [example["stage"]]


def given_in(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of its changes, in their order; `at` is a second of the cluster's clock."""
    given = example["given"] if isinstance(example["given"], list) else [example["given"]]
    return [
        {name: part for name, part in parts.items() if name != "at"}
        | ({"cluster_time": ClusterTime(parts["at"], 1)} if "at" in parts else {})
        for parts in given
    ]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_does_what_it_shows(block: Block) -> None:
    """The events that are given become those that are shown, in every type."""
    example = loaded(block)
    collections = MemoryCollections(example.get("collections", {}))
    made = (
        route_pipeline(*stages_of(example))
        if example.get("of_route")
        else pipeline(*stages_of(example), collections=collections)
    )
    events = [change(token=f"82{place:04}", **parts) for place, parts in enumerate(given_in(example))]
    found = [told(slot) for slot in run(made, events)]
    expected = example["becomes"] if isinstance(example["becomes"], list) else [example["becomes"]]
    assert found == expected
    assert json_util.dumps(found, sort_keys=True) == json_util.dumps(expected, sort_keys=True)


def test_every_stage_has_an_example_and_every_key_of_an_example_is_known() -> None:
    """A stage that is added is shown."""
    shown = {
        name
        for block in EXAMPLES
        for example in [loaded(block)]
        for stage in stages_of(example)
        for name in stage
    }
    assert shown - {"on_error", "name"} == set(built_in().stages)
