"""Pipelines: each stage by the options of its type, and the names that expressions may use by then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from eventbus.config.checking import check
from eventbus.config.models import StageSection
from eventbus.config.nodes import MappingNode, Node, Path, Place, SequenceNode, descend, is_broken, written
from eventbus.config.problems import Problems
from eventbus.config.resolved import ResolvedSource, ResolvedStage
from eventbus.errors import ConfigurationError
from eventbus.expressions.expression import Expression
from eventbus.registry import Registry, SourceClass, StageClass
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Pipelines", "ResolvedPipeline", "says"]

_SHARED: Final = frozenset(StageSection.model_fields)


@dataclass(frozen=True, slots=True)
class ResolvedPipeline:
    """The stages of a pipeline.

    Args:
        stages: In their order.
        names: Those that events have behind it, beside those that every event has.
        is_sound: Whether all of it could be resolved.
    """

    stages: Sequence[ResolvedStage] = ()
    names: frozenset[str] = field(default=frozenset())
    is_sound: bool = True


class Pipelines:
    """Reads pipelines.

    Args:
        registry: Gives the types of stages.
        problems: Takes what is wrong.
        source: Where the events come from, which may give them names; None if that is wrong itself, so that
            nobody can tell which names there are.
    """

    def __init__(self, registry: Registry, problems: Problems, source: ResolvedSource | None) -> None:
        self._registry = registry
        self._problems = problems
        self._knows_names = source is not None
        self.names = names_set(source.cls, source.options) if source is not None else frozenset[str]()
        """Those that events have when they come."""

    def resolved(
        self, node: Node | None, path: Path, names: Collection[str] = (), *, of_route: bool = False
    ) -> ResolvedPipeline:
        """What was written under ``pipeline``.

        Args:
            node: What was written; None if nothing was.
            path: Where it belongs.
            names: Those that events have before it.
            of_route: Whether it belongs to a route, where no stage may wait or stop anything.
        """
        known = frozenset(names)
        if node is None:
            return ResolvedPipeline((), known)
        if not isinstance(node, SequenceNode):
            if not is_broken(node):
                self._problems.add(node.place, path, f"expected a list of stages, got {written(node)}")
            return ResolvedPipeline((), known, is_sound=False)
        stages: list[ResolvedStage | None] = []
        for index, item in enumerate(node.items):
            stage = self._stage(item, (*path, index), known, of_route=of_route)
            stages.append(stage)
            if stage is not None:
                known |= names_set(stage.cls, stage.options)
        for index, stage in enumerate(stages[:-1]):
            if stage is not None and says(stage.cls, "comes_last", stage.options):
                message = f"{stage.type} comes last: a stage behind it could drop what it has let go on"
                self._problems.add(node.items[index].place, (*path, index, stage.type), message)
                stages[index] = None
        sound = [stage for stage in stages if stage is not None]
        return ResolvedPipeline(tuple(sound), known, is_sound=len(sound) == len(stages))

    def names_are_known(
        self, options: object, node: Node, path: Path, names: Collection[str], place: Place
    ) -> bool:
        """Whether all expressions in some options name what events have by then; else that is noted."""
        are_known = True
        for steps, expression in expressions_in(options):
            wrong = expression.unknown_name(names) if self._knows_names else None
            if wrong is not None:
                are_known = False
                self._problems.add(_place(node, steps, place), (*path, *steps), wrong)
        return are_known

    def _stage(
        self, node: Node, path: Path, known: frozenset[str], *, of_route: bool
    ) -> ResolvedStage | None:
        if not isinstance(node, MappingNode):
            if not is_broken(node):
                message = f"expected a stage such as {{filter: …}}, got {written(node)}"
                self._problems.add(node.place, path, message)
            return None
        shared, special = node.split(_SHARED)
        section = check(StageSection, shared, path, self._problems, place=node.place)
        type_name = self._type_of(special, path)
        if type_name is None:
            return None
        made = self._of_type(type_name, special, path, known)
        if section is None or made is None:
            return None
        cls, options = made
        place, at = node.keys[type_name], (*path, type_name)
        wrong = _misplaced(cls, options, type_name, of_route=of_route)
        if of_route and section.on_error == "stop":
            place, at = node.values["on_error"].place, (*path, "on_error")
            wrong = "stop is for the subscription's pipeline: a route stops for no single event"
        if wrong is not None:
            self._problems.add(place, at, wrong)
            return None
        return ResolvedStage(type_name, cls, options, section.name, section.on_error)

    def _of_type(
        self, type_name: str, special: MappingNode, path: Path, known: frozenset[str]
    ) -> tuple[StageClass, BaseModel] | None:
        """The class of a stage and its options."""
        place, path = special.keys[type_name], (*path, type_name)
        try:
            cls = self._registry.stage(type_name)
        except ConfigurationError as error:
            self._problems.add(place, path, str(error))
            return None
        given = _in_full(special.values[type_name], cls)
        options = check(cls.Options, given, path, self._problems, place=place)
        if options is None or not self.names_are_known(options, given, path, known, place):
            return None
        return cls, options

    def _type_of(self, special: MappingNode, path: Path) -> str | None:
        """The type of a stage, which is the one key that is none of those that all stages have."""
        known = self._registry.stages
        unknown = [name for name in special.values if name not in known]
        for name in unknown:
            guess = did_you_mean(name, [*known, *_SHARED])
            message = f"unknown stage {name!r}{guess} (known stages: {listed(known)})"
            self._problems.add(special.keys[name], (*path, name), message)
        if unknown:
            return None
        if len(special.values) != 1:
            have = listed(special.values)
            message = f"expected one stage in each entry of the list, got {have} (known: {listed(known)})"
            self._problems.add(special.place, path, message)
            return None
        return next(iter(special.values))


def _misplaced(cls: StageClass, options: Any, type_name: str, *, of_route: bool) -> str | None:
    """Why a stage must not be where it is; None if it may."""
    if of_route and says(cls, "waits", options):
        return f"{type_name} waits for others: it belongs in the subscription's pipeline"
    if not of_route and says(cls, "remembers", options):
        return f"{type_name} remembers events, in the order of one route: it belongs in a route's pipeline"
    return None


def says(cls: StageClass, trait: str, options: object) -> bool:
    """Whether a class of stages has a trait, perhaps with some options only (see `eventbus.sdk.Stage`)."""
    said = getattr(cls, trait, False)
    return bool(said(options) if callable(said) else said)


def expressions_in(options: object) -> Iterator[tuple[Path, Expression]]:
    """Every expression in some options, and where."""
    match options:
        case Expression():
            yield (), options
        case BaseModel():
            for name, info in type(options).model_fields.items():
                for steps, found in expressions_in(getattr(options, name)):
                    yield (info.alias or name, *steps), found
        case Mapping():
            for name, inner in options.items():
                for steps, found in expressions_in(inner):
                    yield (name, *steps), found
        case list() | tuple():
            for index, inner in enumerate(options):
                for steps, found in expressions_in(inner):
                    yield (index, *steps), found


def _in_full(node: Node, cls: StageClass) -> Node:
    """The options as a mapping; a value alone is that of the option that the type names for it."""
    short = getattr(cls, "short", None)
    if short is None or (isinstance(node, MappingNode) and not _is_short_mapping(node, cls, short)):
        return node
    return MappingNode(node.place, {short: node}, {short: node.place})


def _is_short_mapping(node: MappingNode, cls: StageClass, short: str) -> bool:
    """Whether a mapping is the value of that option, and does not name it as one among its options."""
    if not getattr(cls, "short_maps", False):
        return False
    is_full = node.values.keys() <= cls.Options.model_fields.keys()
    return not (is_full and isinstance(node.values.get(short), MappingNode))


def names_set(cls: StageClass | SourceClass, options: Any) -> frozenset[str]:
    """The names that a stage or a source of such options gives to events."""
    sets = getattr(cls, "sets", None)
    return frozenset(sets(options)) if sets is not None else frozenset()


def _place(node: Node, steps: Path, place: Place) -> Place:
    for step in steps:
        inner = descend(node, step)
        if inner is None:
            return place
        node, place = inner, inner.place
    return place
