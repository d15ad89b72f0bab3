"""What a model expects at a path, read from its JSON Schema.

Two things need to know it before the model itself is asked: whether a variable's text is to stay text, and
which keys a misspelt one may have meant. A model that has no JSON Schema expects, for us, anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from eventbus.config.nodes import MappingNode, Node, Scalar, ScalarNode, SequenceNode

__all__ = ["Expectation", "expected_by", "plain_data"]

_TYPING_KEYS: Final = frozenset({"type", "const", "enum"})
_DEEP: Final = 3
_Schema = Mapping[str, Any]


@lru_cache(maxsize=256)
def expected_by(model: type[BaseModel]) -> Expectation:
    """What `model` expects of the mapping that it is made from."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of defaults that JSON cannot write
            schema = model.model_json_schema()
    except Exception:  # noqa: BLE001 - a plugin's types may bring code of their own, which may raise anything
        return Expectation(opaque=True)
    definitions = schema.get("$defs", {})
    return Expectation(tuple(_flattened(schema, definitions)), definitions)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The schemas of which a value must meet one.

    Args:
        alternatives: Those schemas; none if nothing is known of this place.
        definitions: What they refer to.
        opaque: Whether the whole model has no schema. Variables then stay text, and pydantic may convert it.
    """

    alternatives: tuple[_Schema, ...] = ()
    definitions: _Schema = field(default_factory=dict)
    opaque: bool = False

    @property
    def keys(self) -> list[str]:
        """The keys that a mapping here may have."""
        return [key for schema in self.alternatives for key in schema.get("properties", {})]

    @property
    def untyped(self) -> bool:
        """Whether anything may stand here."""
        return not any(_TYPING_KEYS & schema.keys() for schema in self.alternatives)

    @property
    def takes_text(self) -> bool:
        """Whether a text may stand here."""
        return self.opaque or any(_takes_text(schema) for schema in self.alternatives)

    @property
    def secret(self) -> bool:
        """Whether what stands here must not be shown."""
        return any(schema.get("format") == "password" for schema in self.alternatives)

    @property
    def holds_secret(self) -> bool:
        """Whether what belongs here has a secret in it, at most `_DEEP` steps below.

        What was written in place of the whole may then be that secret.
        """
        return _has_secret(self, _DEEP)

    def below(self, step: str | int) -> Expectation:
        """What is expected under a key or at an index."""
        found = [schema for parent in self.alternatives for schema in _children(parent, step)]
        flat = tuple(leaf for schema in found for leaf in _flattened(schema, self.definitions))
        return Expectation(flat, self.definitions, self.opaque)


def plain_data(node: Node, expectation: Expectation) -> Any:
    """The tree as plain Python data, each variable's text read as what is expected at its place.

    It stays text wherever text will do, so that a password ``0123`` or ``true`` survives; elsewhere it is
    read as YAML would read it, so that ``${PORT}`` makes a number.
    """
    match node:
        case MappingNode():
            return {key: plain_data(value, expectation.below(key)) for key, value in node.values.items()}
        case SequenceNode():
            return [plain_data(item, expectation.below(i)) for i, item in enumerate(node.items)]
        case ScalarNode():
            return _scalar(node, expectation)


def _scalar(node: ScalarNode, expectation: Expectation) -> Scalar:
    if node.substitution is None or expectation.takes_text:
        return node.value
    return node.substitution.untyped if expectation.untyped else node.substitution.retyped


def _flattened(schema: Any, definitions: _Schema, depth: int = 0) -> Iterator[_Schema]:
    """The schema with references and alternatives resolved; a reference to itself ends somewhere."""
    if not isinstance(schema, Mapping) or depth > 20:
        return
    reference = schema.get("$ref")
    if reference is not None:
        yield from _flattened(definitions.get(reference.rpartition("/")[2]), definitions, depth + 1)
    several = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, ())]
    for part in several:
        yield from _flattened(part, definitions, depth + 1)
    if reference is None and not several:
        yield schema


def _children(schema: _Schema, step: str | int) -> list[Any]:
    if isinstance(step, int):
        prefix = schema.get("prefixItems", ())
        return [prefix[step]] if step < len(prefix) else [schema.get("items", {})]
    named = schema.get("properties", {}).get(step)
    if named is not None:
        return [named]
    return [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties", {})]


def _has_secret(expectation: Expectation, steps: int) -> bool:
    if expectation.secret:
        return True
    below: list[str | int] = [0, "", *expectation.keys]  # an item, any key, those that are known
    return steps > 0 and any(_has_secret(expectation.below(step), steps - 1) for step in below)


def _takes_text(schema: _Schema) -> bool:
    kind = schema.get("type")
    if "const" in schema or "enum" in schema:
        return any(isinstance(value, str) for value in (schema.get("const"), *schema.get("enum", ())))
    return kind == "string" or (isinstance(kind, list) and "string" in kind)
