"""Which types of sinks, sources and stages there are, their classes on use, and what is made of them.

A registry is a value that is handed on, not a global. Built-in types and those of installed packages come
by the same entry points and are imported only when a configuration names them, so that a broken package
harms nobody who does not use it. Whoever uses it is told which package is broken, how, and what to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from eventbus.errors import ConfigurationError
from eventbus.sdk import Sink, Source, SourceContext, Stage, StageContext
from eventbus.suggestions import did_you_mean, listed
from eventbus.telemetry.redaction import redact

__all__ = ["Kind", "Registry", "SinkClass", "SourceClass", "StageClass", "made"]

Kind: TypeAlias = Literal["sink", "source", "stage"]
T = TypeVar("T")

_GROUPS: Final[Mapping[Kind, str]] = {
    "sink": "eventbus.sinks",
    "source": "eventbus.sources",
    "stage": "eventbus.stages",
}
_PARTS: Final[Mapping[Kind, frozenset[str]]] = {
    "sink": frozenset({"open", "close", "encode", "send"}),
    "source": frozenset({"check", "now", "oldest", "at", "position", "reader"}),
    "stage": frozenset({"apply"}),
}
"""The methods that every class of a kind has; see `eventbus.sdk`."""


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
            sinks=_declared(_GROUPS["sink"]),
            sources=_declared(_GROUPS["source"]),
            stages=_declared(_GROUPS["stage"]),
        )

    def sink(self, type_name: str) -> SinkClass:
        """The class of sinks of this type.

        Raises:
            ConfigurationError: No such type, or its package is broken.
        """
        return cast(SinkClass, _class("sink", type_name, self.sinks))

    def source(self, type_name: str) -> SourceClass:
        """The class of sources of this type.

        Raises:
            ConfigurationError: No such type, or its package is broken.
        """
        return cast(SourceClass, _class("source", type_name, self.sources))

    def stage(self, type_name: str) -> StageClass:
        """The class of stages of this name.

        Raises:
            ConfigurationError: No such stage, or its package is broken.
        """
        return cast(StageClass, _class("stage", type_name, self.stages))


def made(kind: Kind, type_name: str, place: str, cls: Callable[..., T], *arguments: Any) -> T:
    """What a class makes of its options; a foreign one may raise anything.

    Args:
        kind: What it is.
        type_name: The type that users wrote.
        place: Where they wrote it.
        cls: The class of this type.
        arguments: What it is made from.

    Raises:
        ConfigurationError: It cannot be made.
    """
    try:
        return cls(*arguments)
    except ConfigurationError:
        raise
    except Exception as error:
        ours = f"{kind} {type_name!r}"
        declared = entry_points(group=_GROUPS[kind], name=type_name)
        what = next((_named(kind, entry_point) for entry_point in declared), ours)
        raise ConfigurationError(f"{place}: {what} cannot be made: {_said(error)}") from error


def _declared(group: str) -> Declared:
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry_point in entry_points(group=group):
        found[entry_point.name].append(entry_point)
    return {name: tuple(several) for name, several in found.items()}


def _class(kind: Kind, type_name: str, declared: Declared) -> Any:
    if type_name not in declared:
        guess = did_you_mean(type_name, declared)
        raise ConfigurationError(f"unknown {kind} type {type_name!r}{guess} (known: {listed(declared)})")
    what = declared[type_name]
    if not isinstance(what, tuple):
        return what
    if len(what) > 1:
        packages = listed(_package(entry_point) for entry_point in what)
        raise ConfigurationError(
            f"{kind} type {type_name!r} is declared by more than one package: {packages}; "
            "uninstall all but one"
        )
    return _checked(kind, what[0])


def _checked(kind: Kind, entry_point: EntryPoint) -> Any:
    """What an entry point declares, if it is what it should be."""
    named = _named(kind, entry_point)
    try:
        found = entry_point.load()
    except (Exception, SystemExit) as error:  # a foreign module may raise anything while it is imported
        raise ConfigurationError(
            f"{named} cannot be imported from {entry_point.value}: {_said(error)}; "
            "install it anew with what it needs, or use another type"
        ) from error
    options = getattr(found, "Options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise ConfigurationError(f"{named}: {entry_point.value} has no pydantic model named Options")
    missing = sorted(part for part in _PARTS[kind] if not callable(getattr(found, part, None)))
    if missing or not callable(found):
        raise ConfigurationError(
            f"{named}: {entry_point.value} is no class of {kind}s: it has no {listed(missing)} "
            "(see eventbus.sdk)"
        )
    return found


def _named(kind: Kind, entry_point: EntryPoint) -> str:
    return f"{kind} type {entry_point.name!r} of {_package(entry_point)}"


def _package(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"package {dist.name} {dist.version}" if dist is not None else "an unnamed package"


def _said(error: BaseException) -> str:
    return redact(f"{type(error).__name__}: {error}")
