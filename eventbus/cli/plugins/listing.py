"""`eventbus plugin list`: what the installed packages declare, and whether it can be had.

Everything that is listed is imported, as a configuration that names it would do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from eventbus.cli.printing import print_json, print_table
from eventbus.errors import ConfigurationError
from eventbus.expressions.functions import function_of
from eventbus.registry import Registry
from eventbus.suggestions import did_you_mean

__all__ = ["Plugin", "plugins", "print_plugins"]

_KINDS: Final = {
    "eventbus.functions": "function",
    "eventbus.sinks": "sink",
    "eventbus.sources": "source",
    "eventbus.stages": "stage",
}
_OURSELVES: Final = "eventbus"


@dataclass(frozen=True, slots=True)
class Plugin:
    """Something that a package declares.

    Args:
        name: The type that users write, or the function that expressions call.
        kind: ``sink``, ``source``, ``stage`` or ``function``; the group where there is no such group.
        package: Which package brings it; empty if that cannot be told.
        version: The package's.
        state: ``ok`` or ``broken``.
        why: What is broken.
    """

    name: str
    kind: str
    package: str
    version: str
    state: str
    why: str | None = None


def print_plugins(*, built_in: bool, as_json: bool) -> bool:
    """Print them.

    Args:
        built_in: Whether what eventbus itself brings is listed, too.
        as_json: Whether they are printed as objects, one a line.

    Returns:
        Whether all of them can be had.
    """
    found = [one for one in plugins() if built_in or one.package != _OURSELVES]
    rows = [asdict(one) for one in found]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        columns = ("name", "kind", "package", "version", "state", "why")
        print_table(columns, rows, "no plugin is installed: 'eventbus plugin new NAME' makes one")
    return all(one.state == "ok" for one in found)


def plugins() -> list[Plugin]:
    """Everything that the installed packages declare, by kind and name."""
    declared: dict[tuple[str, str], list[EntryPoint]] = defaultdict(list)
    for group in entry_points().groups:
        if group.startswith(f"{_OURSELVES}."):
            for entry_point in entry_points(group=group):
                declared[group, entry_point.name].append(entry_point)
    return [one for (group, _), several in sorted(declared.items()) for one in _plugins(group, several)]


def _plugins(group: str, several: Sequence[EntryPoint]) -> Iterator[Plugin]:
    kind = _KINDS.get(group, group)
    why = _why_broken(group, several)
    for entry_point in several:
        package, version = (entry_point.dist.name, entry_point.dist.version) if entry_point.dist else ("", "")
        yield Plugin(entry_point.name, kind, package, version, "ok" if why is None else "broken", why)


def _why_broken(group: str, several: Sequence[EntryPoint]) -> str | None:
    first, kind = several[0], _KINDS.get(group)
    if kind is None:
        return f"there is no group of entry points {group!r}{did_you_mean(group, _KINDS)}"
    try:
        if kind == "function":
            function_of(first)
        else:
            getattr(Registry(**{f"{kind}s": {first.name: tuple(several)}}), kind)(first.name)
    except (ConfigurationError, ValueError) as error:
        return str(error)
    return None
