"""Whatever a user can write is read by somebody, and whatever is measured is moved by somebody."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from eventbus.config import models, resolution
from eventbus.core.circuit import CircuitPolicy
from eventbus.registry import Registry
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.telemetry import metrics
from tests.docs.options import SECTIONS, plugin_models, stage_models
from tests.docs.pages import ROOT
from tests.docs.source_code import attributes_read, calls, parsed, sources

METRICS = ROOT / "eventbus/telemetry/metrics.py"

ONE_VALUE = "has one value so far; a file written now stays right when there are more"
READ_OTHERWISE = {
    ("MongoDBStateSection", "type"): "config/typed.py chooses the model by it",
    ("SQLiteStateSection", "type"): "config/typed.py chooses the model by it",
    ("SubscriptionSection", "source"): "config/subscriptions.py takes it from the tree, with its places",
    ("SubscriptionSection", "routes"): "config/subscriptions.py takes it from the tree, with its places",
    ("SubscriptionSection", "pipeline"): "config/subscriptions.py takes it from the tree, with its places",
    ("RouteSection", "pipeline"): "config/subscriptions.py takes it from the tree, with its places",
    ("Signing", "scheme"): ONE_VALUE,
}
"""Options that nothing reads as an attribute, and why that is no defect."""

READERS: dict[type[BaseModel], tuple[str, set[str]]] = {
    models.MongoDBSection: ("config", {"mongodb", "login"}),
    models.TLSSection: ("config", {"tls"}),
    models.HeartbeatSection: ("daemon.py", {"heartbeat"}),
    models.MongoDBStateSection: ("config", {"state", "login"}),
    models.SQLiteStateSection: ("config", {"state"}),
    models.DefaultsSection: ("config", {"defaults"}),
    models.SubscriptionSection: ("config", {"section"}),
    models.SinkSection: ("config", {"shared"}),
    models.RouteSection: ("config", {"section"}),
    models.StageSection: ("config", {"section"}),
    models.ServerSection: ("api", {"server"}),
    models.TokenSection: ("api", {"token"}),
    models.ServerTLSSection: ("api", {"tls"}),
    models.LogSection: ("daemon.py", {"log"}),
    models.DaemonSection: ("daemon.py", {"daemon"}),
    models.TracingSection: ("tracing.py", {"tracing"}),
    models.DeadLettersSection: ("servers.py", {"dead_letters"}),
    models.NoticesSection: ("notices", {"section"}),
    models.RetryPolicy: ("assembly.py", {"retry"}),
    models.WindowPolicy: ("assembly.py", {"window"}),
    models.BatchPolicy: ("assembly.py", {"batch"}),
    models.PriorityPolicy: ("assembly.py", {"priority"}),
    models.CircuitPolicy: ("assembly.py", {"circuit"}),
    models.CatchUpPolicy: ("assembly.py", {"catch_up"}),
    models.EncodingPolicy: ("encoding", {"encoding"}),
    models.ClaimCheckPolicy: ("encoding", {"claim_check"}),
    models.RegistryPolicy: ("assembly.py", {"registry"}),
    models.DeadLetterPolicy: ("assembly.py", {"dead_letters"}),
}
"""Who reads a section, and what they call it: a common name elsewhere proves nothing. What ends in `config`
lives on in `config.resolved`; the rest is handed on as it is."""


def _reads(model: type[BaseModel]) -> set[tuple[str, str]]:
    """All that could be a reading of this model."""
    place, names = READERS.get(model) or _readers_of_options(model)
    trees = [parsed(path) for path in sources(place) if path.name != "models.py"]
    read = set().union(*(attributes_read(tree, outside=model.__name__) for tree in trees))
    return {(owner, name) for owner, name in read if owner in names}


def _readers_of_options(model: type[BaseModel]) -> tuple[str, set[str]]:
    """The package of a sink or a source, or its one module."""
    parts = model.__module__.split(".")[1:]
    place = "/".join(parts[:2]) if len(parts) > 2 else "/".join(parts) + ".py"
    return place, {"options", model.__name__.lower()}


OPTIONS = [
    (model, name)
    for model in (SECTIONS | plugin_models() | stage_models()).values()
    if model is not models.Document
    for name in model.model_fields
]


@pytest.mark.parametrize(("model", "name"), OPTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_every_option_is_read(model: type[BaseModel], name: str) -> None:
    """A knob that nothing is connected to is worse than none."""
    read = name in {attribute for _, attribute in _reads(model)}
    assert read != ((model.__name__, name) in READ_OTHERWISE)


def test_options_with_one_value_have_but_one() -> None:
    """With a second value somebody must read it."""
    schemas = {
        (model.__name__, name): model.model_json_schema(by_alias=False)["properties"][name]
        for model, name in OPTIONS
    }
    assert all("const" in schemas[option] for option, reason in READ_OTHERWISE.items() if reason is ONE_VALUE)
    assert schemas.keys() >= READ_OTHERWISE.keys()


def test_every_section_is_resolved() -> None:
    """The document's own keys are read by name."""
    tree = parsed(Path(str(resolution.__file__)))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert models.Document.model_fields.keys() <= constants


def test_the_readers_above_are_complete() -> None:
    """A section that is added has readers somewhere."""
    assert {*READERS, models.Document} == set(SECTIONS.values())


@pytest.mark.parametrize(
    "policy", [RoutePolicy, RetryPolicy, CircuitPolicy], ids=lambda policy: policy.__name__
)
def test_what_routes_are_told_is_read_by_the_runtime(policy: Any) -> None:
    """The way of a knob does not end in the daemon's hands."""
    trees = [parsed(path) for path in sources("runtime", "core")]
    read = set().union(*(attributes_read(tree, outside=policy.__name__) for tree in trees))
    by_policy = {name for owner, name in read if owner in {"policy", "retry", "circuit"}}
    assert {field.name for field in fields(policy)} <= by_policy


def test_every_metric_is_moved_by_a_function() -> None:
    """A metric that only exists shows 0 for ever."""
    tree = parsed(METRICS)
    objects = {name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
    bodies = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    used = {node.id for body in bodies for node in ast.walk(body) if isinstance(node, ast.Name)}
    assert objects
    assert objects <= used


def test_every_bound_metric_of_a_route_is_moved_by_a_method() -> None:
    """What the constructor binds to the route's labels, another method moves."""
    classes = [node for node in parsed(METRICS).body if isinstance(node, ast.ClassDef)]
    (bound,) = [node for node in classes if node.name == "RouteMetrics"]
    own = [node for node in ast.walk(bound) if isinstance(node, ast.Attribute) and _is_self(node.value)]
    stored = {node.attr for node in own if isinstance(node.ctx, ast.Store)}
    assert stored
    assert stored <= {node.attr for node in own if isinstance(node.ctx, ast.Load)}


def test_every_function_that_moves_a_metric_is_called() -> None:
    """By the code that it measures."""
    tree = parsed(METRICS)
    public = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    called = set().union(*(calls(parsed(path)) for path in sources() if path != METRICS))
    assert public
    assert public <= called


def test_the_scan_finds_a_dead_option() -> None:
    """An attribute that is only written, or only read inside of its own model, is not read."""
    tree = ast.parse("class Model:\n    def check(self): return self.dead\nthing.written = options.alive\n")
    assert attributes_read(tree, outside="Model") == {("options", "alive")}


def test_options_of_the_built_in_types_are_found() -> None:
    """Else the first test would prove nothing about them."""
    found = {model.__name__ for model, _ in OPTIONS}
    registry = Registry.from_entry_points()
    assert {"Signing", "MongoOptions"} <= found
    assert found >= {registry.sink(name).Options.__name__ for name in ("file", "kafka", "redis", "webhook")}


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "self"
