"""One subscription: its source by the options of its type, and its routes over the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import BaseModel

from eventbus.config import checks
from eventbus.config.checking import check
from eventbus.config.models import DefaultsSection, RouteSection, SubscriptionSection
from eventbus.config.nodes import MappingNode, Node, Path, Place, ScalarNode, SequenceNode, is_broken, written
from eventbus.config.pipelines import Pipelines, ResolvedPipeline
from eventbus.config.problems import Problems
from eventbus.config.resolved import (
    ResolvedRoute,
    ResolvedSink,
    ResolvedSource,
    ResolvedSubscription,
)
from eventbus.config.typed import typed
from eventbus.config.versions import version_of
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from eventbus.sdk import carried_by

__all__ = ["DEFAULT_SOURCE_TYPE", "resolved_subscription"]

DEFAULT_SOURCE_TYPE: Final = "mongodb"

_P = TypeVar("_P", bound=BaseModel)


def resolved_subscription(
    name: str,
    node: Node,
    place: Place,
    *,
    registry: Registry,
    defaults: DefaultsSection | None,
    declared: Mapping[str, Node],
    sinks: Mapping[str, ResolvedSink],
    problems: Problems,
) -> ResolvedSubscription | None:
    """The subscription; None if any part of it is wrong, which is noted.

    Args:
        name: Its name.
        node: What was written under it.
        place: Where its name stands.
        registry: Gives the types of sources.
        defaults: The policies of routes that say nothing else; None if they are wrong themselves.
        declared: What was written of all sinks, by name.
        sinks: The sinks that are not wrong themselves, by name.
        problems: Takes what is wrong.
    """
    path = ("subscriptions", name)
    section = check(SubscriptionSection, node, path, problems, place=place)
    if not isinstance(node, MappingNode):
        return None
    source = _source(node, path, registry, problems)
    start = section.start if section is not None else "now"
    pipelines = Pipelines(registry, problems, source)
    pipeline = pipelines.resolved(node.values.get("pipeline"), (*path, "pipeline"), pipelines.names)
    names = pipeline.names if pipeline.is_sound else None
    routes = _Routes(path, node, defaults, declared, sinks, start, problems, pipelines, names).resolved(
        node.values.get("routes")
    )
    if section is None or source is None or routes is None or not pipeline.is_sound:
        return None
    checks.encoding_fits_source(source.options, routes, node, path, problems)
    return ResolvedSubscription(
        name, section.service or name, source, pipeline.stages, routes, section.catch_up
    )


def _source(parent: MappingNode, path: Path, registry: Registry, problems: Problems) -> ResolvedSource | None:
    node = parent.values.get("source")
    if node is None:
        return None
    path, place = (*path, "source"), parent.keys["source"]
    found = typed(node, path, problems, place=place, known=registry.sources, default=DEFAULT_SOURCE_TYPE)
    if found is None:
        return None
    try:
        cls = registry.source(found.type)
    except ConfigurationError as error:
        problems.add(found.place, path, str(error))
        return None
    options = check(cls.Options, found.options, path, problems, place=place, also_known=("type",))
    return ResolvedSource(found.type, cls, options) if options is not None else None


class _Routes:
    """The routes of one subscription."""

    def __init__(
        self,
        path: Path,
        subscription: Node,
        defaults: DefaultsSection | None,
        declared: Mapping[str, Node],
        sinks: Mapping[str, ResolvedSink],
        start: str,
        problems: Problems,
        pipelines: Pipelines,
        names: frozenset[str] | None,
    ) -> None:
        self._pipelines = pipelines
        self._names = names
        """Those that stages have set by then; None if that cannot be told."""
        self._start = start
        self._path = (*path, "routes")
        self._subscription = subscription
        self._defaults = defaults
        self._declared = declared
        self._sinks = sinks
        self._problems = problems
        self._named: list[tuple[str, Place, Path]] = []

    def resolved(self, node: Node | None) -> tuple[ResolvedRoute, ...] | None:
        if not isinstance(node, SequenceNode):
            return None
        routes = [self._route(item, (*self._path, index)) for index, item in enumerate(node.items)]
        checks.routes_are_distinct(self._named, self._problems)
        sound = tuple(route for route in routes if route is not None)
        return sound if len(sound) == len(routes) else None

    def _route(self, node: Node, path: Path) -> ResolvedRoute | None:
        if isinstance(node, MappingNode):
            return self._long(node, path)
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return self._short(node, path)
        if not is_broken(node):
            message = f"expected the name of a sink or a mapping, got {written(node)}"
            self._problems.add(node.place, path, message)
        return None

    def _short(self, node: ScalarNode, path: Path) -> ResolvedRoute | None:
        """A route of which only the sink is named."""
        checks.sink_is_declared(node, path, self._declared, self._problems)
        section = RouteSection(sink=str(node.value))
        return self._over_defaults(section, MappingNode(node.place), path)

    def _long(self, node: MappingNode, path: Path) -> ResolvedRoute | None:
        if "sink" in node.values:
            checks.sink_is_declared(node.values["sink"], (*path, "sink"), self._declared, self._problems)
        checks.dead_letter_sink_is_declared(node, path, self._declared, self._problems)
        section = check(RouteSection, node, path, self._problems, place=node.place)
        return self._over_defaults(section, node, path) if section is not None else None

    def _over_defaults(self, section: RouteSection, node: MappingNode, path: Path) -> ResolvedRoute | None:
        name = section.name or section.sink
        self._named.append((name, node.place, path))
        if self._defaults is None or section.sink not in self._declared:
            return None
        retry = _overlaid(self._defaults.retry, section.retry)
        circuit = _overlaid(self._defaults.circuit, section.circuit)
        checks.policies_are_sound(retry, circuit, node, path, self._problems)
        checks.ordering_is_possible(section, node, path, self._problems)
        window = _overlaid(self._defaults.window, section.window)
        dead_letters = _overlaid(self._defaults.dead_letters, section.dead_letters)
        checks.dead_letter_sink_is_another(dead_letters.sink, section.sink, node, path, self._problems)
        pipeline = self._pipeline(section, node, path)
        if pipeline is None:
            return None
        encoding = _overlaid(self._defaults.encoding, section.encoding)
        sink = self._sinks.get(section.sink)
        exactly_once = section.delivery == "exactly_once"
        if sink is not None:
            checks.items_have_no_claims(section, encoding, node, path, self._problems)
            checks.encoding_is_possible(encoding, carried_by(sink.cls), node, path, self._problems)
            self._sink_names_what_is_there(sink, section.sink, pipeline.names)
            exactly_once = exactly_once or (section.delivery is None and sink.exactly_once)
            if exactly_once:
                checks.exactly_once_is_possible(section, sink, node, path, self._problems)
        return ResolvedRoute(
            name,
            section.sink,
            when=section.when,
            for_each=section.for_each,
            pipeline=pipeline.stages,
            retry=retry,
            window=window,
            circuit=circuit,
            dead_letters=dead_letters,
            encoding=encoding,
            batch=section.batch,
            priority=section.priority,
            ordering=section.ordering,
            rate=section.rate,
            concurrency=section.concurrency,
            exactly_once=exactly_once,
            holds_keys=section.on_dead_letter == "hold_key",
            lanes=section.lanes,
            start=section.start if section.start is not None else self._start,
            critical=section.critical,
            watermark_every=section.watermark_every,
            version=version_of(self._subscription, self._declared[section.sink]),
        )

    def _sink_names_what_is_there(self, sink: ResolvedSink, name: str, names: frozenset[str]) -> None:
        """Expressions among the options of a sink name what the events of each of its routes have."""
        declared = self._declared[name]
        self._pipelines.names_are_known(sink.options, declared, ("sinks", name), names, declared.place)

    def _pipeline(self, section: RouteSection, node: MappingNode, path: Path) -> ResolvedPipeline | None:
        """The pipeline of a route, after what its condition names was looked at; None if any is wrong."""
        if self._names is None:
            return None
        is_sound = section.when is None or self._pipelines.names_are_known(
            section.when, node.values["when"], (*path, "when"), self._names, node.place
        )
        pipeline = self._pipelines.resolved(
            node.values.get("pipeline"), (*path, "pipeline"), self._names, of_route=True
        )
        if section.for_each is not None:
            is_sound &= self._pipelines.names_are_known(
                section.for_each, node.values["for_each"], (*path, "for_each"), pipeline.names, node.place
            )
        return pipeline if is_sound and pipeline.is_sound else None


def _overlaid(base: _P, own: _P | None) -> _P:
    """`base` with the keys that `own` was given."""
    if own is None:
        return base
    return base.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
