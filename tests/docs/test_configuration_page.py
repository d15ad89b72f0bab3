"""docs/configuration.md names every option there is, no other, and the defaults that hold."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eventbus.config import json_schema, load, models
from eventbus.config.reading import yaml_scalar
from eventbus.errors import ConfigurationError
from eventbus.units import parse_duration, parse_size
from tests.docs.options import SECTIONS, built_in, documented_models, stage_models, written_options
from tests.docs.pages import ROOT, Block, blocks, tables

PAGE = ROOT / "docs/configuration.md"
TABLES = tables(ROOT / "docs/stages.md") | tables(PAGE)
MODELS = documented_models() | stage_models()
OPTIONS = [(heading, name) for heading, model in MODELS.items() for name in written_options(model)]


def _rows(heading: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in TABLES.get(heading, [])}


@pytest.mark.parametrize("heading", MODELS)
def test_every_model_has_a_heading_with_exactly_its_options(heading: str) -> None:
    """A reader finds each option where it is written, and none that the daemon would refuse."""
    assert heading in TABLES, f"no heading {heading} in {PAGE.name}, nor in stages.md"
    assert list(_rows(heading)) == _in_order(heading), "as in the model, in its order"


def _in_order(heading: str) -> list[str]:
    names = list(written_options(MODELS[heading]))
    return sorted(names, key=lambda name: (name != "type", names.index(name)))


@pytest.mark.parametrize(("heading", "name"), OPTIONS)
def test_the_default_on_the_page_is_the_one_in_the_code(heading: str, name: str) -> None:
    """In backticks stands a value; `required` stands for itself; words stand for what is no fixed value."""
    field = written_options(MODELS[heading])[name]
    written = _rows(heading)[name][1]
    if field.is_required() or (name == "type" and heading.endswith("sqlite`")):
        assert written == "required"
    elif _is_fixed(field):
        assert written[:1] == written[-1:] == "`", f"the default is {field.default!r}"
        assert _same(_value(written.strip("`")), field.default)
    else:
        assert written
        assert written[0] != "`"
        assert written != "required"


def _value(text: str) -> Any:
    return yaml.safe_load(text) if text[0] in "[{" else yaml_scalar(text)


def _is_fixed(field: FieldInfo) -> bool:
    return (
        field.default_factory is None
        and field.default is not None
        and not isinstance(field.default, BaseModel)
    )


def _same(written: Any, default: Any) -> bool:
    if isinstance(default, Enum):
        return bool(written == default.value)
    if isinstance(default, tuple):
        return bool(list(default) == written)
    if isinstance(written, str) and isinstance(default, float):
        return parse_duration(written) == default
    if isinstance(written, str) and isinstance(default, int):
        return parse_size(written) == default
    return bool(written == default)


def test_no_heading_documents_a_type_that_does_not_exist() -> None:
    """A sink that is gone is gone from the page as well."""
    typed = {heading for heading in TABLES if "`type: " in heading}
    assert typed - {heading for heading in MODELS if "`type: " in heading} == set()


def test_the_list_of_sections_here_is_complete() -> None:
    """A model that is added to the configuration is documented too."""
    own = {
        model
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, models.Section) and model is not models.Section
    }
    assert own == set(SECTIONS.values())


def test_every_property_of_the_json_schema_is_an_option_of_a_documented_model() -> None:
    """The models that this test walks are all that an editor offers."""
    registry = built_in()
    known = {name for model in MODELS.values() for name in written_options(model)}
    known |= {"type", *registry.stages}
    assert _property_names(json_schema(registry)) == known


def _property_names(schema: Any) -> set[str]:
    names: set[str] = set()
    if isinstance(schema, dict):
        if isinstance(properties := schema.get("properties"), dict):
            names |= properties.keys()
        for part in schema.values():
            names |= _property_names(part)
    elif isinstance(schema, list):
        for part in schema:
            names |= _property_names(part)
    return names


def test_the_example_of_errors_shows_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's wrong configuration gives the page's problems, word for word."""
    (output,) = [block for block in blocks("console", PAGE) if "eventbus.yaml:1:16" in block.text]
    (tmp_path / "eventbus.yaml").write_text(_block_before(output).text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load(["eventbus.yaml"], built_in(), {})
    assert list(caught.value.problems) == output.text.splitlines()[1:]


def _block_before(block: Block) -> Block:
    return max(
        (other for other in blocks("yaml", PAGE) if other.line < block.line), key=lambda other: other.line
    )
