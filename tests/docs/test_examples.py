"""Every configuration that is shown is one that the daemon takes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.config import Config, load
from eventbus.config.models import Document
from eventbus.registry import Registry
from tests.docs.options import built_in, plugin_models
from tests.docs.pages import ROOT, Block, blocks

ENVIRON = {
    "DASHBOARDS_TOKEN": "a-token-of-a-test-1",
    "EVENTBUS_PORT": "0",
    "FULFILMENT_SECRET": base64.b64encode(b"a secret of a test").decode(),
    "FULFILMENT_TOKEN": "t",
    "KAFKA_PASSWORD": "p",
    "MONGODB_URI": "mongodb://localhost/?replicaSet=rs0",
    "OPERATORS_TOKEN": "a-token-of-a-test-2",
}
REST = """
mongodb: {uri: "mongodb://localhost/?replicaSet=rs0"}
sinks: {rest: {type: stdout}}
subscriptions: {rest: {source: {database: rest}, routes: [rest]}}
"""
"""What a part of a configuration needs in order to be whole; sinks and subscriptions are joined by name."""

JOINED = {"sinks", "subscriptions"}
EXAMPLES = sorted(ROOT.glob("config/*.yaml"))
OF_THEIR_OWN = {"deployment.md", "plugins.md", "stages.md", "testing.md"}
CASES = "cases:\n"
SHOWN = [
    block
    for block in blocks("yaml")
    if "webhok" not in block.text and CASES not in block.text and block.page.name not in OF_THEIR_OWN
]
"""All but mistakes, single stages, cases, plugins and values of the chart, which have tests of their own."""


def _loaded(*files: Path, environ: dict[str, str] | None = None) -> Config:
    return load(files, Registry.from_entry_points(), environ or {})


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_block_of_yaml_is_sound(block: Block, tmp_path: Path) -> None:
    """A whole configuration is loaded as it is, a part of one together with what it lacks."""
    (tmp_path / "mongodb_uri").write_text("mongodb://localhost/?replicaSet=rs0\n")
    shown, rest = tmp_path / "shown.yaml", tmp_path / "rest.yaml"
    shown.write_text(block.text.replace("${file:/run/secrets/", f"${{file:{tmp_path}/"))
    sections = yaml.safe_load(block.text).keys()
    rest.write_text(
        "".join(line for line in REST.splitlines(True) if line.partition(":")[0] not in sections - JOINED)
    )
    is_whole = sections >= {"mongodb", "sinks", "subscriptions"}
    _loaded(shown, *([] if is_whole else [rest]), environ=ENVIRON)


@pytest.mark.parametrize(
    "file", [file for file in EXAMPLES if file.name != "demo-kafka.yaml"], ids=lambda f: f.name
)
def test_a_file_of_examples_is_sound_anywhere(file: Path) -> None:
    """Without any variable and without any other file."""
    assert _loaded(file).subscriptions


def test_the_demo_is_sound_with_kafka() -> None:
    """demo-kafka.yaml is a part, read together with demo.yaml."""
    config = _loaded(ROOT / "config/demo.yaml", ROOT / "config/demo-kafka.yaml")
    assert len(config.subscriptions) == 2


def test_the_smallest_example_is_the_one_on_the_pages() -> None:
    """README and the configuration page begin with config/minimal.yaml."""
    smallest = (ROOT / "config/minimal.yaml").read_text()
    for page in (ROOT / "README.md", ROOT / "docs/configuration.md"):
        assert blocks("yaml", page)[0].text == smallest


def test_the_full_example_shows_every_section_and_every_option() -> None:
    """Nothing has to be looked for elsewhere."""
    written = yaml.safe_load((ROOT / "config/example.yaml").read_text())
    assert written.keys() == Document.model_fields.keys()
    assert {sink["type"] for sink in written["sinks"].values()} == built_in().sinks.keys()
    options = {name for model in plugin_models().values() for name in model.model_fields}
    assert options - _keys(written) == set()


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for part in value.values() for key in _keys(part)}
    return {key for part in value for key in _keys(part)} if isinstance(value, list) else set()
