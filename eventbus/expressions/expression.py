"""One expression in the Common Expression Language: checked when it is read, computed for each event.

https://github.com/google/cel-spec/blob/master/doc/langdef.md

A path that is missing or null makes a condition false and a value null, wherever the result depends on it;
``has(path)`` and a comparison with ``null`` ask about that itself. Only what an expression names is handed
to it, for handing over costs more than computing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from eventbus.errors import EncodingError
from eventbus.expressions.functions import declared_functions, function_of
from eventbus.expressions.library import compiled, standard_functions
from eventbus.expressions.scanning import MACROS, Call, Mention, place_in, scanned, with_doubles
from eventbus.expressions.values import kind_of, to_bson, to_cel
from eventbus.expressions.view import NAMES, SECTIONS, View
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Condition", "Expression", "ExpressionError"]

_BUILT_IN: Final = MACROS | frozenset(
    {
        *("bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
        *("contains", "endsWith", "matches", "size", "startsWith", "has"),
        *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"),
        *("getMilliseconds", "getMinutes", "getMonth", "getSeconds"),
    }
)
"""Functions that an expression may call, beside the library's own and those that plugins bring."""

_TYPES: Final = frozenset({"bool", "bytes", "double", "int", "list", "map", "string", "uint"})
_TYPE_NAMES: Final = frozenset((name,) for name in _TYPES)
_SYNTAX_ERROR: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_LONG_EXPECTATION: Final = re.compile(r" expecting \{.*")


class ExpressionError(Exception):
    """An expression has no result for an event; the text is for people and shows no value of a document."""


class Expression:
    """An expression that computes a value.

    Two are equal if they were written alike and call the same functions of plugins.

    Args:
        text: What the user wrote.

    Raises:
        ValueError: It is no expression, or calls a function that there is not; the text says at which column.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = _compiled(text)
        scan = scanned(text)
        standard = standard_functions()
        known = _BUILT_IN | standard.keys()
        own = _functions_of_plugins(text, [call for call in scan.calls if call.name not in known])
        self._environment = {name: declared for name, (declared, _) in own.items()}
        self.mentions = tuple(scan.mentions)
        self._is_path = scan.is_path
        self._nulls = scan.has_null
        self._paths = _without_redundant(self.mentions)
        self._functions = {call.name: standard[call.name] for call in scan.calls if call.name in standard} | {
            name: function for name, (_, function) in own.items()
        }
        self._with_doubles: Any = None

    @property
    def path(self) -> tuple[str, ...] | None:
        """The names of the path that it is, and nothing else; None if it computes something."""
        return self._paths[0].names if self._is_path and self._paths else None

    @property
    def paths(self) -> tuple[str, ...]:
        """What it is handed of an event: ``operation``, ``document.total``."""
        return tuple(".".join(mention.names) for mention in self._paths)

    def unknown_name(self, known: Collection[str] = ()) -> str | None:
        """What is wrong with the first name that no event has; None if all are known.

        Args:
            known: The names that stages set, beside those that every event has.
        """
        for mention in self.mentions:
            first = mention.names[0]
            wrong: str | None = None
            if mention.names in _TYPE_NAMES:
                continue
            if first not in NAMES and first not in known:
                every = {*NAMES, *known}
                wrong = f"unknown name {first!r}{did_you_mean(first, every)} (known: {listed(every)})"
            elif first == "meta" and len(mention.names) > 1 and mention.names[1] not in known:
                name = mention.names[1]
                wrong = f"no stage before sets {name!r}{did_you_mean(name, known)} (set: {listed(known)})"
            elif first in NAMES and first not in SECTIONS and len(mention.names) > 1:
                wrong = f"{first!r} is a single value: there is no {'.'.join(mention.names)}"
            if wrong is not None:
                return f"{place_in(self.text, mention.place)}: {wrong}"
        return None

    def value(self, view: View) -> Any:
        """The result, as a document can hold it; null if it depends on what is missing.

        A path alone gives the value that is there, with its type.

        Raises:
            ExpressionError: There is no result.
        """
        try:
            if self.path is not None:
                return view.at(self.path)
            return to_bson(self._computed(view))
        except _Missing:
            return None
        except EncodingError as error:
            raise ExpressionError(str(error)) from error
        except ValueError as error:
            raise ExpressionError(f"gives {error}, which no document can hold") from error

    def _computed(self, view: View) -> Any:
        variables, is_incomplete = self._variables(view)
        try:
            return self._program.execute(variables | self._functions)
        except (KeyError, IndexError) as error:
            raise _Missing from error
        except Exception as error:
            if is_incomplete:
                raise _Missing from error
            if isinstance(error, TypeError):
                return self._computed_with_doubles(variables)
            raise ExpressionError(_reason(error)) from error

    def _computed_with_doubles(self, variables: Mapping[str, Any]) -> Any:
        """Once more with all numbers of one type, since documents mix what the language does not."""
        if self._with_doubles is None:
            self._with_doubles = compiled(with_doubles(self.text))
        try:
            return self._with_doubles.execute(_doubles(variables) | self._functions)
        except Exception as error:
            raise ExpressionError(_reason(error)) from error

    def _variables(self, view: View) -> tuple[dict[str, Any], bool]:
        """What the expression names, and whether any of it is missing or null."""
        variables: dict[str, Any] = {}
        is_incomplete = False
        for mention in self._paths:
            value = view.at(mention.names)
            of_changed = mention.names[0] == _CHANGED
            is_null = mention.is_compared_with_null
            if value is None:
                is_incomplete = True
                is_null |= of_changed and view.was_set(mention.names[1:])
            _hand_over(
                variables, mention.names, to_cel(value, nulls=self._nulls or of_changed), is_null=is_null
            )
        return variables, is_incomplete

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression) or type(other) is not type(self):
            return NotImplemented
        return (self.text, self._environment) == (other.text, other._environment)

    def __hash__(self) -> int:
        return hash((type(self), self.text))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.text}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """In options it is written as text."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


class Condition(Expression):
    """An expression that is true or false."""

    def holds(self, view: View) -> bool:
        """Whether it is true of an event; not if that depends on what is missing.

        Raises:
            ExpressionError: It has no result, or one that is neither.
        """
        result = self.value(view)
        if result is None:
            return False
        if not isinstance(result, bool):
            raise ExpressionError(f"gives {kind_of(result)}, and not true or false")
        return result


def _functions_of_plugins(
    text: str, calls: Sequence[Call]
) -> dict[str, tuple[EntryPoint, Callable[..., Any]]]:
    """The functions that are none of the language's, and where they are declared.

    Raises:
        ValueError: There is no such function, or it cannot be had.
    """
    if not calls:
        return {}
    declared = declared_functions()
    found: dict[str, tuple[EntryPoint, Callable[..., Any]]] = {}
    for call in calls:
        where = place_in(text, call.place)
        if call.name not in declared:
            guess = did_you_mean(call.name, [*_BUILT_IN, *standard_functions(), *declared])
            raise ValueError(f"{where}: unknown function {call.name!r}{guess}")
        try:
            found[call.name] = declared[call.name], function_of(declared[call.name])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return found


class _Missing(Exception):
    """The result depends on what is missing or null."""


def _compiled(text: str) -> Any:
    try:
        return compiled(text)
    except ValueError as error:
        raise ValueError(_syntax_error(text, str(error))) from None


def _syntax_error(text: str, said: str) -> str:
    """The compiler's first finding in one line, with its place."""
    if not text.strip():
        return "an expression must not be empty"
    found = _SYNTAX_ERROR.search(said)
    if found is None:
        return "is no expression"
    line, column, what = int(found[1]), int(found[2]), found[3].removeprefix("Syntax error: ")
    where = f"line {line}, column {column}" if "\n" in text else f"column {column}"
    what = _LONG_EXPECTATION.sub("", what).replace("'<EOF>'", "the end")
    return f"{where}: {what}"


def _without_redundant(mentions: tuple[Mention, ...]) -> tuple[Mention, ...]:
    """Each path once, and none that lies inside of another."""
    by_names: dict[tuple[str, ...], Mention] = {}
    for mention in mentions:
        if mention.names in _TYPE_NAMES:
            continue
        known = by_names.get(mention.names)
        if known is None or mention.is_compared_with_null:
            by_names[mention.names] = mention
    return tuple(
        mention
        for names, mention in by_names.items()
        if not any(names[:length] in by_names for length in range(1, len(names)))
    )


_CHANGED: Final = "changed"
"""Here null is a value: a field that was set to null was changed."""


def _hand_over(variables: dict[str, Any], names: tuple[str, ...], value: Any, *, is_null: bool) -> None:
    """Put a value where the expression looks for it. What is around it is there, so that `has` may ask."""
    *around, last = names
    at = variables
    for name in around:
        at = at.setdefault(name, {})
    if value is not None or is_null:
        at[last] = value


def _doubles(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case dict():
            return {name: _doubles(inner) for name, inner in value.items()}
        case list():
            return [_doubles(item) for item in value]
        case _:
            return value


_REASONS: Final[Mapping[type[Exception], str]] = {
    TypeError: "the types of its values do not go together",
    ZeroDivisionError: "divides by zero",
    OverflowError: "gives a number that is too large",
}


def _reason(error: Exception) -> str:
    """Why there is no result, without the values that the library's own text may show."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    return "a function of it does not take such values"
