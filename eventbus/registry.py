"""Which types of sinks, sources and stages there are, and their classes on use.

A registry is a value that is handed on, not a global. Built-in types and those of installed packages come
by the same entry points and are imported only when a configuration names them, so that a broken package
harms nobody who does not use it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeAlias, cast

from pydantic import BaseModel

from eventbus.errors import ConfigurationError
from eventbus.sdk import Sink, Source, SourceContext, Stage, StageContext
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Registry", "SinkClass", "SourceClass", "StageClass"]


class SinkClass(Protocol):
    """A class of sinks, as a value."""

    Options: type[BaseModel]

    def __call__(self, name: str, options: Any, /) -> Sink:
        """Make a sink, without any I/O."""


class SourceClass(Protocol):
    """A class of sources, as a value."""

    Options: type[BaseModel]

    def __call__(self, options: Any, context: SourceContext, /) -> Source:
        """Make a source, without any I/O."""


class StageClass(Protocol):
    """A class of stages, as a value."""

    Options: type[BaseModel]

    def __call__(self, options: Any, context: StageContext, /) -> Stage:
        """Make a stage, without any I/O."""


Declared: TypeAlias = Mapping[str, Any]
"""By type: the class itself, or the entry points under which it is declared."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The known types.

    Args:
        sinks: Classes of sinks by the ``type`` that users write.
        sources: Classes of sources by the ``type`` that users write.
        stages: Classes of stages by the name that users write.
    """

    sinks: Declared = field(default_factory=dict)
    sources: Declared = field(default_factory=dict)
    stages: Declared = field(default_factory=dict)

    @classmethod
    def from_entry_points(cls) -> Registry:
        """Everything that the installed packages declare. Nothing is imported."""
        return cls(
            sinks=_declared("eventbus.sinks"),
            sources=_declared("eventbus.sources"),
            stages=_declared("eventbus.stages"),
        )

    def sink(self, type_name: str) -> SinkClass:
        """The class of sinks of this type.

        Raises:
            ConfigurationError: No such type, or its package cannot be imported.
        """
        return cast(
            SinkClass, _with_options(_class("sink", type_name, self.sinks), f"sink type {type_name!r}")
        )

    def source(self, type_name: str) -> SourceClass:
        """The class of sources of this type.

        Raises:
            ConfigurationError: No such type, or its package cannot be imported.
        """
        declared = _class("source", type_name, self.sources)
        return cast(SourceClass, _with_options(declared, f"source type {type_name!r}"))

    def stage(self, type_name: str) -> StageClass:
        """The class of stages of this name.

        Raises:
            ConfigurationError: No such stage, or its package cannot be imported.
        """
        declared = _class("stage", type_name, self.stages)
        return cast(StageClass, _with_options(declared, f"stage {type_name!r}"))


def _declared(group: str) -> Declared:
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry_point in entry_points(group=group):
        found[entry_point.name].append(entry_point)
    return {name: tuple(several) for name, several in found.items()}


def _class(kind: str, type_name: str, declared: Declared) -> Any:
    if type_name not in declared:
        guess = did_you_mean(type_name, declared)
        raise ConfigurationError(f"unknown {kind} type {type_name!r}{guess} (known: {listed(declared)})")
    what = declared[type_name]
    return _imported(kind, what) if isinstance(what, tuple) else what


def _imported(kind: str, several: tuple[EntryPoint, ...]) -> Any:
    first = several[0]
    if len(several) > 1:
        packages = listed(_package(entry_point) for entry_point in several)
        raise ConfigurationError(
            f"{kind} type {first.name!r} is declared by more than one package: {packages}"
        )
    try:
        return first.load()
    except Exception as error:  # a foreign module may raise anything while it is imported
        raise ConfigurationError(
            f"{kind} type {first.name!r} of {_package(first)} cannot be imported from {first.value}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _package(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"package {dist.name} {dist.version}" if dist is not None else "an unnamed package"


def _with_options(declared: Any, what: str) -> Any:
    options = getattr(declared, "Options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise ConfigurationError(f"{what} has no pydantic model named Options")
    return declared
