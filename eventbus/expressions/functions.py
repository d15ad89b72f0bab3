"""Functions that plugins bring for expressions: found by their entry points, imported when one is called."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from eventbus.expressions.values import to_cel

__all__ = ["declared_functions", "function_of"]

_GROUP: Final = "eventbus.functions"


def declared_functions() -> dict[str, EntryPoint]:
    """What the installed packages declare, by the name that expressions call. Nothing is imported."""
    return {entry_point.name: entry_point for entry_point in entry_points(group=_GROUP)}


def function_of(declared: EntryPoint) -> Callable[..., Any]:
    """A function as expressions call it: values of BSON come back as they see them, and nothing is shown.

    Args:
        declared: The function's entry point.

    Raises:
        ValueError: It cannot be imported, or is no function.
    """
    try:
        function = declared.load()
    except (Exception, SystemExit) as error:  # a foreign module may raise anything while it is imported
        raise ValueError(f"function {declared.name!r} cannot be imported: {type(error).__name__}") from error
    if not callable(function):
        raise ValueError(f"function {declared.name!r} is none: {declared.value}")  # noqa: TRY004 - as above

    def called(*arguments: Any) -> Any:
        try:
            return to_cel(function(*arguments))
        except Exception:  # noqa: BLE001 - its text may show a value, and the library writes it down
            raise ValueError("no result") from None

    return called
