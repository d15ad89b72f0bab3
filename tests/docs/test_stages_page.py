"""Every example of docs/stages.md does what the page says, and every stage has one."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from bson import json_util

from eventbus.registry import Registry
from eventbus.stages.memory import MemoryCollections
from tests.docs.pages import ROOT, Block, blocks
from tests.stages.events import become, change

PAGE = ROOT / "docs/stages.md"
EXAMPLES = blocks("yaml", PAGE)


_FOLDER: Final = tempfile.TemporaryDirectory()


def loaded(block: Block) -> dict[str, Any]:
    """The example, its values in Extended JSON where YAML has no such type; its files are there."""
    found: dict[str, Any] = json_util.loads(
        json_util.dumps(yaml.safe_load(block.text)),
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


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_does_what_it_shows(block: Block) -> None:
    """The event that is given becomes the one that is shown, in every type."""
    example = loaded(block)
    stages = example["stage"] if isinstance(example["stage"], list) else [example["stage"]]
    collections = MemoryCollections(example.get("collections", {}))
    found = become(change(**example["given"]), *stages, collections=collections)
    assert found == example["becomes"]
    if isinstance(found, dict):
        assert json_util.dumps(found, sort_keys=True) == json_util.dumps(example["becomes"], sort_keys=True)


def test_every_stage_has_an_example_and_every_key_of_an_example_is_known() -> None:
    """A stage that is added is shown."""
    shown = {
        name
        for block in EXAMPLES
        for example in [loaded(block)]
        for stage in (example["stage"] if isinstance(example["stage"], list) else [example["stage"]])
        for name in stage
    }
    assert shown - {"on_error", "name"} == set(Registry.from_entry_points().stages)
