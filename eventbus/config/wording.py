"""Pydantic's errors in words for people who have never heard of pydantic.

A text that a plugin's own validator wrote is passed on, with every value masked that came from a variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from eventbus.config.expectation import Expectation
from eventbus.config.nodes import Node, ScalarNode, described, scalars, written
from eventbus.config.reading import yaml_scalar
from eventbus.suggestions import did_you_mean, listed

__all__ = ["ABOUT_A_KEY", "either", "sentence", "unknown_key"]

ABOUT_A_KEY: Final = frozenset({"missing", "extra_forbidden"})
"""Kinds of error whose location ends with the key that they are about."""

_EXPECTED: Final[Mapping[str, str]] = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number that is not that large",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "nothing",
    "path_type": "a path",
    "set_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}

_CHOICES: Final = frozenset({"enum", "literal_error", "union_tag_invalid"})

_LIMITS: Final[Mapping[str, str]] = {
    "greater_than": "be more than {gt}",
    "greater_than_equal": "be at least {ge}",
    "less_than": "be less than {lt}",
    "less_than_equal": "be at most {le}",
    "multiple_of": "be a multiple of {multiple_of}",
}

_LENGTHS: Final[Mapping[str, str]] = {
    "string_too_long": "have at most {max_length} characters",
    "string_too_short": "have at least {min_length} characters",
    "too_long": "have at most {max_length} entries",
    "too_short": "have at least {min_length} entries",
}


def sentence(error: ErrorDetails, node: Node, expectation: Expectation, known: Sequence[str]) -> str:
    """What is wrong, in one sentence.

    Args:
        error: What pydantic found.
        node: What was written there; for an error about a key, the mapping around it.
        expectation: What was expected there.
        known: The keys that the mapping may have.
    """
    kind = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind in ABOUT_A_KEY:
        key = str(error["loc"][-1])
        return f"missing required key {key!r}" if kind == "missing" else unknown_key(key, known)
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {_got(kind, node, expectation)}"
    if kind in _CHOICES:
        return _one_of(context, node, expectation)
    if kind in _LIMITS:
        return f"must {_LIMITS[kind].format(**context)}, got {_got(kind, node, expectation)}"
    if kind in _LENGTHS:
        empty = context.get("min_length") == 1
        return "must not be empty" if empty else f"must {_LENGTHS[kind].format(**context)}"
    return _foreign(error, context, node)


def unknown_key(key: str, known: Sequence[str]) -> str:
    """That a key is not known, and which was probably meant, or which there are."""
    return f"unknown key {key!r}{did_you_mean(key, known) or f' (known: {listed(known)})'}"


def either(messages: Sequence[str]) -> str:
    """The messages of several alternatives, of which one should have fitted, as one."""
    pattern = re.compile(r"expected (.*), got (.*)", re.DOTALL)
    matches = [pattern.fullmatch(message) for message in dict.fromkeys(messages)]
    if all(matches) and matches:
        wanted = [match[1] for match in matches if match]
        return f"expected {' or '.join(wanted)}, got {next(m[2] for m in matches if m)}"
    return "; or ".join(dict.fromkeys(messages))


def _got(kind: str, node: Node, expectation: Expectation) -> str:
    if kind == "string_type" and isinstance(node, ScalarNode) and node.value is not None:
        return f"{described(node)} (put it in quotes)"
    if expectation.secret or (_is_literal(node) and expectation.holds_secret):
        return described(node)
    return f"{written(node)}{_quotes_hint(node)}"


def _is_literal(node: Node) -> bool:
    """Whether it is text that would be shown; of a variable only the name is."""
    return isinstance(node, ScalarNode) and isinstance(node.value, str) and node.substitution is None


def _quotes_hint(node: Node) -> str:
    """For ``port: "80"``, where the quotes are what is wrong."""
    if not isinstance(node, ScalarNode) or node.substitution or not isinstance(node.value, str):
        return ""
    return "" if node.plain or isinstance(yaml_scalar(node.value), str) else " (leave out the quotes)"


def _one_of(context: Mapping[str, Any], node: Node, expectation: Expectation) -> str:
    wanted = str(context.get("expected") or context.get("expected_tags"))
    names = re.findall(r"'([^']*)'", wanted)
    plain = isinstance(node, ScalarNode) and isinstance(node.value, str) and node.substitution is None
    guess = did_you_mean(str(node.value), names) if isinstance(node, ScalarNode) and plain else ""
    return f"expected {wanted}, got {_got('enum', node, expectation)}{guess}"


def _foreign(error: ErrorDetails, context: Mapping[str, Any], node: Node) -> str:
    """A text that is not ours: of a validator, or of pydantic for a rare kind."""
    raised = context.get("error")
    if error["type"] == "union_tag_not_found":
        return f"missing required key {context['discriminator']}"
    text = str(raised) if raised is not None else error["msg"].replace("Input should be", "expected")
    return _masked(text.replace("Value error, ", ""), node)


def _masked(text: str, node: Node) -> str:
    """The text with each value that came from a variable shown as that variable."""
    labels: dict[str, str] = {}
    for scalar in scalars(node):
        if scalar.substitution is not None:
            whole = (str(scalar.value), scalar.substitution.label)
            again = (str(scalar.substitution.retyped), scalar.substitution.label)
            for value, label in (whole, again, *scalar.substitution.parts):
                labels |= dict.fromkeys((value, value.strip(), repr(value)[1:-1]), label)
    values = sorted((value for value in labels if value), key=len, reverse=True)
    if not values:
        return text
    return re.sub("|".join(map(_pattern, values)), lambda match: labels[match.group()], text)


def _pattern(value: str) -> str:
    """A short value is looked for as a word only, or it would be found in every sentence."""
    return re.escape(value) if len(value) >= 4 else rf"(?<!\w){re.escape(value)}(?!\w)"
