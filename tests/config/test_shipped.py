"""What is shipped fits together: the built-in types, the smallest example, the schema of both."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from eventbus.config import json_schema, load
from eventbus.registry import Registry
from tests.config.schema_validator import Validator

EXAMPLES: Final = Path(__file__).parents[2] / "config"
BUILT_IN: Final = Registry.from_entry_points()


def test_the_smallest_example() -> None:
    config = load([EXAMPLES / "minimal.yaml"], BUILT_IN, {})

    (route,) = config.subscriptions["orders"].routes
    assert config.sinks[route.sink].type == "kafka"
    assert config.subscriptions["orders"].source.type == "mongodb"
    assert config.mongodb.uri.get_secret_value() == "mongodb://localhost:27017/?replicaSet=rs0"


@pytest.mark.parametrize("type_name", sorted(BUILT_IN.sinks))
def test_every_built_in_sink_can_be_imported(type_name: str) -> None:
    assert BUILT_IN.sink(type_name).Options.model_fields is not None


def test_an_editor_accepts_the_smallest_example() -> None:
    document = yaml.safe_load((EXAMPLES / "minimal.yaml").read_text())
    validator = Validator(json_schema(BUILT_IN))

    assert validator.accepts(document)
    document["sinks"]["orders_topic"]["topc"] = document["sinks"]["orders_topic"].pop("topic")
    assert not validator.accepts(document)


def test_every_option_of_the_built_in_types_is_described() -> None:
    (sinks,) = json_schema(BUILT_IN)["properties"]["sinks"]["patternProperties"].values()
    undescribed = [
        f"{branch['properties']['type']['const']}.{key}"
        for branch in sinks["oneOf"]
        for key, schema in branch["properties"].items()
        if key != "type" and "description" not in schema
    ]

    assert len(sinks["oneOf"]) == len(BUILT_IN.sinks)
    assert undescribed == []
