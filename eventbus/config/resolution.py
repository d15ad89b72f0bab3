"""From the tree of all sections to a `Config`, part by part, so that one bad part hides no other's problems.

A part that is wrong is noted and left out; who asked for it must look at the problems before using the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from pydantic import BaseModel

from eventbus.config import checks
from eventbus.config.checking import check
from eventbus.config.models import (
    DaemonSection,
    DeadLettersSection,
    DefaultsSection,
    Document,
    LogSection,
    MongoDBSection,
    MongoDBStateSection,
    NoticesSection,
    ServerSection,
    SinkSection,
    SQLiteStateSection,
    TracingSection,
)
from eventbus.config.mongodb_access import mongodb_access, read_preference, state_access
from eventbus.config.nodes import MappingNode, Node, Place
from eventbus.config.problems import Problems
from eventbus.config.resolved import Config, MongoDBState, ResolvedSink, ResolvedSubscription, SQLiteState
from eventbus.config.subscriptions import resolved_subscription
from eventbus.config.typed import typed
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["STATE_SECTIONS", "resolve"]

_M = TypeVar("_M", bound=BaseModel)

STATE_SECTIONS: Final[Mapping[str, type[MongoDBStateSection | SQLiteStateSection]]] = {
    "mongodb": MongoDBStateSection,
    "sqlite": SQLiteStateSection,
}


def resolve(root: MappingNode, registry: Registry, problems: Problems) -> Config | None:
    """The configuration that `root` describes; None if a part that it cannot be without is wrong."""
    check(Document, root, (), problems, place=root.place)
    mongodb = _section("mongodb", MongoDBSection, root, problems)
    state = _state(root, problems)
    server = _section("server", ServerSection, root, problems)
    log = _section("log", LogSection, root, problems)
    daemon = _section("daemon", DaemonSection, root, problems)
    dead_letters = _section("dead_letters", DeadLettersSection, root, problems)
    tracing = _section("tracing", TracingSection, root, problems) if "tracing" in root.values else None
    sinks = _sinks(root, registry, problems)
    notices = _notices(root, sinks, problems)
    subscriptions = _subscriptions(root, registry, sinks, problems)
    if daemon is not None:
        options = {name: sink.options for name, sink in sinks.items()}
        checks.lease_outlasts_attempts(daemon, options, root, problems)
    if isinstance(state, SQLiteStateSection):
        checks.claims_have_a_place(subscriptions.values(), root, problems)
    if mongodb is None or state is None or server is None or log is None or daemon is None:
        return None
    if dead_letters is None:
        return None
    return Config(
        mongodb=mongodb_access(mongodb),
        read_preference=read_preference(mongodb),
        heartbeat=mongodb.heartbeat,
        state=_resolved_state(state, mongodb),
        server=server,
        log=log,
        daemon=daemon,
        dead_letters=dead_letters,
        tracing=tracing,
        sinks=MappingProxyType(sinks),
        subscriptions=MappingProxyType(subscriptions),
        notices=notices,
    )


def _section(name: str, model: type[_M], root: MappingNode, problems: Problems) -> _M | None:
    """A section of a fixed shape. One that is absent has its defaults, unless it must not be absent."""
    node = root.values.get(name)
    if node is not None:
        return check(model, node, (name,), problems, place=root.keys[name])
    return None if Document.model_fields[name].is_required() else model()


def _state(root: MappingNode, problems: Problems) -> MongoDBStateSection | SQLiteStateSection | None:
    node = root.values.get("state")
    if node is None:
        return MongoDBStateSection()
    place = root.keys["state"]
    found = typed(node, ("state",), problems, place=place, known=STATE_SECTIONS, default="mongodb")
    if found is None:
        return None
    return check(
        STATE_SECTIONS[found.type], found.options, ("state",), problems, place=place, also_known=("type",)
    )


def _resolved_state(
    state: MongoDBStateSection | SQLiteStateSection, mongodb: MongoDBSection
) -> MongoDBState | SQLiteState:
    if isinstance(state, SQLiteStateSection):
        return SQLiteState(state.path)
    return MongoDBState(state_access(state, mongodb), state.database)


def _notices(
    root: MappingNode, sinks: Mapping[str, ResolvedSink], problems: Problems
) -> NoticesSection | None:
    """What is to be told, if anything is; a sink that is wrong itself is reported there."""
    node = root.values.get("notices")
    if node is None:
        return None
    section = check(NoticesSection, node, ("notices",), problems, place=root.keys["notices"])
    if section is not None:
        declared = {name for name, _, _ in _entries(root.values.get("sinks"))}
        checks.notices_have_a_sink(section.sink, sinks.get(section.sink), declared, node, problems)
    return section


def _sinks(root: MappingNode, registry: Registry, problems: Problems) -> dict[str, ResolvedSink]:
    found = {}
    for name, node, place in _entries(root.values.get("sinks")):
        sink = _sink(name, node, place, registry, problems)
        if sink is not None:
            found[name] = sink
    return found


def _sink(name: str, node: Node, place: Place, registry: Registry, problems: Problems) -> ResolvedSink | None:
    path = ("sinks", name)
    found = typed(node, path, problems, place=place, known=registry.sinks)
    if found is None:
        return None
    try:
        cls = registry.sink(found.type)
    except ConfigurationError as error:
        problems.add(found.place, (*path, "type"), str(error))
        return None
    keys = set(SinkSection.model_fields) - set(cls.Options.model_fields)
    general, special = found.options.split(keys)
    shared = check(SinkSection, general, path, problems, place=place)
    options = check(cls.Options, special, path, problems, place=place, also_known=("type", *sorted(keys)))
    if shared is None or options is None:
        return None
    exactly_once = shared.delivery == "exactly_once"
    return ResolvedSink(found.type, cls, options, shared.rate, shared.concurrency, exactly_once)


def _subscriptions(
    root: MappingNode, registry: Registry, sinks: Mapping[str, ResolvedSink], problems: Problems
) -> dict[str, ResolvedSubscription]:
    defaults = _section("defaults", DefaultsSection, root, problems)
    given = root.values.get("defaults")
    if defaults is not None and isinstance(given, MappingNode):
        checks.policies_are_sound(defaults.retry, defaults.circuit, given, ("defaults",), problems)
    declared = {name: node for name, node, _ in _entries(root.values.get("sinks"))}
    if isinstance(given, MappingNode):
        checks.dead_letter_sink_is_declared(given, ("defaults",), declared, problems)
    found = {}
    for name, node, place in _entries(root.values.get("subscriptions")):
        subscription = resolved_subscription(
            name,
            node,
            place,
            registry=registry,
            defaults=defaults,
            declared=declared,
            sinks=sinks,
            problems=problems,
        )
        if subscription is not None:
            found[name] = subscription
    return found


def _entries(node: Node | None) -> Iterator[tuple[str, Node, Place]]:
    if isinstance(node, MappingNode):
        for name, value in node.values.items():
            yield name, value, node.keys[name]
