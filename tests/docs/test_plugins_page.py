"""The plugins that plugins/README.md shows work: they can be configured, and pass their contract tests."""

from __future__ import annotations

import sys
import tomllib
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from eventbus.config import load
from eventbus.expressions.functions import function_of
from eventbus.registry import Registry
from tests.docs.pages import ROOT, Block, blocks

PAGE = ROOT / "plugins/README.md"


def _module(block: Block) -> types.ModuleType:
    """The module that a block's first line names, as if its package were installed."""
    module = types.ModuleType(block.text.partition("\n")[0].removeprefix("# ").removesuffix(".py"))
    sys.modules[module.__name__] = module
    exec(compile("\n" * (block.line - 1) + block.text, str(PAGE), "exec"), module.__dict__)
    return module


PLUGIN, TESTS, STAGE, STAGE_TESTS, FUNCTION = [_module(block) for block in blocks("python", PAGE)]
TestSpool = TESTS.TestSpool
TestIban = STAGE_TESTS.TestIban
"""The page's own tests, collected here."""


def test_its_sink_can_be_configured(tmp_path: Path) -> None:
    """By the type that its entry point names."""
    file = tmp_path / "c.yaml"
    file.write_text(
        f"mongodb: {{uri: 'mongodb://localhost/?replicaSet=rs0'}}\n"
        f"sinks: {{files: {{type: spool, folder: '{tmp_path}'}}}}\n"
        f"subscriptions: {{orders: {{source: {{database: shop}}, routes: [files]}}}}\n"
    )
    registry = Registry(sinks={"spool": PLUGIN.SpoolSink}, sources=Registry.from_entry_points().sources)
    assert load([file], registry, {}).sinks["files"].cls is PLUGIN.SpoolSink


def test_its_stage_can_be_configured(tmp_path: Path) -> None:
    """Short, and conditions behind it know the name that it sets."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "mongodb: {uri: 'mongodb://localhost/?replicaSet=rs0'}\n"
        "sinks: {lines: {type: stdout}}\n"
        "subscriptions: {orders: {source: {database: shop}, routes: [lines], pipeline: "
        "[{iban: payment.iban}, {filter: iban_country == 'DE'}]}}\n"
    )
    every = Registry.from_entry_points()
    registry = Registry(every.sinks, every.sources, {**every.stages, "iban": STAGE.Iban})
    first, _ = load([file], registry, {}).subscriptions["orders"].pipeline
    assert (first.cls, first.options) == (STAGE.Iban, STAGE.IbanOptions(field="payment.iban"))


def test_its_entry_points_are_ones_that_are_looked_for() -> None:
    """The groups are known, and what they name is on the page."""
    sink, stage, function = (
        tomllib.loads(block.text)["project"]["entry-points"] for block in blocks("toml", PAGE)
    )
    assert sink == {"eventbus.sinks": {"spool": "eventbus_spool:SpoolSink"}}
    assert stage == {"eventbus.stages": {"iban": "eventbus_iban:Iban"}}
    assert function == {"eventbus.functions": {"has_check_digit": "eventbus_luhn:has_check_digit"}}


def test_its_function_can_be_called() -> None:
    """By the name and the place that its entry point gives."""
    (toml,) = [block for block in blocks("toml", PAGE) if "eventbus.functions" in block.text]
    declared = tomllib.loads(toml.text)["project"]["entry-points"]["eventbus.functions"]
    for name, place in declared.items():
        called = function_of(EntryPoint(name, place, "eventbus.functions"))
        assert called("4111 1111 1111 1111") is True
        assert called("4111 1111 1111 1112") is False
        assert called("") is False


@pytest.mark.parametrize("group", ["eventbus.sinks", "eventbus.sources", "eventbus.stages"])
def test_the_built_in_types_are_registered_in_the_same_way(group: str) -> None:
    """As the page says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][group]
