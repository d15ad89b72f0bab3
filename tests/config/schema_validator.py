"""As much of JSON Schema, draft 2020-12, as our schema uses. Any other keyword fails, lest it be overlooked.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_NOTES: Final = frozenset(
    {"title", "description", "default", "examples", "format", "writeOnly", "$schema", "$defs"}
)
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


class Validator:
    """Judges values by one schema, whose references it holds itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema

    def accepts(self, value: Any) -> bool:
        return self._meets(value, self._root)

    def _meets(self, value: Any, schema: Any) -> bool:
        if isinstance(schema, bool):
            return schema
        return all(self._meets_word(word, value, schema) for word in schema if word not in _NOTES)

    def _meets_word(self, word: str, value: Any, schema: Mapping[str, Any]) -> bool:
        wanted = schema[word]
        if word in _OF_ANY:
            return _OF_ANY[word](self, value, wanted)
        kind, judge = _OF_KIND[word]
        return not _TYPES[kind](value) or judge(self, value, wanted, schema)

    def reference(self, value: Any, wanted: Any) -> bool:
        return self._meets(value, self._root["$defs"][wanted.removeprefix("#/$defs/")])

    def count(self, value: Any, schemas: Any) -> int:
        return sum(self._meets(value, part) for part in schemas)

    def items(self, value: Any, wanted: Any, _: Any) -> bool:
        return all(self._meets(item, wanted) for item in value)

    def properties(self, value: Any, wanted: Any, _: Any) -> bool:
        return all(self._meets(value[key], part) for key, part in wanted.items() if key in value)

    def pattern_properties(self, value: Any, wanted: Any, _: Any) -> bool:
        pairs = [(v, part) for p, part in wanted.items() for k, v in value.items() if re.search(p, k)]
        return all(self._meets(v, part) for v, part in pairs)

    def additional_properties(self, value: Any, wanted: Any, schema: Any) -> bool:
        patterns = schema.get("patternProperties", {})
        named = {key for key in value if any(re.search(pattern, key) for pattern in patterns)}
        others = value.keys() - schema.get("properties", {}).keys() - named
        return all(self._meets(value[key], wanted) for key in others)


_OF_ANY: Final[Mapping[str, Callable[[Validator, Any, Any], bool]]] = {
    "$ref": Validator.reference,
    "anyOf": lambda validator, value, wanted: validator.count(value, wanted) > 0,
    "oneOf": lambda validator, value, wanted: validator.count(value, wanted) == 1,
    "type": lambda _, value, wanted: _TYPES[wanted](value),
    "const": lambda _, value, wanted: bool(value == wanted),
    "enum": lambda _, value, wanted: value in wanted,
}
_OF_KIND: Final[Mapping[str, tuple[str, Callable[[Validator, Any, Any, Any], bool]]]] = {
    "pattern": ("string", lambda _, value, wanted, __: re.search(wanted, value) is not None),
    "minLength": ("string", lambda _, value, wanted, __: len(value) >= wanted),
    "minimum": ("number", lambda _, value, wanted, __: bool(value >= wanted)),
    "maximum": ("number", lambda _, value, wanted, __: bool(value <= wanted)),
    "exclusiveMinimum": ("number", lambda _, value, wanted, __: bool(value > wanted)),
    "items": ("array", Validator.items),
    "minItems": ("array", lambda _, value, wanted, __: len(value) >= wanted),
    "maxItems": ("array", lambda _, value, wanted, __: len(value) <= wanted),
    "required": ("object", lambda _, value, wanted, __: all(key in value for key in wanted)),
    "minProperties": ("object", lambda _, value, wanted, __: len(value) >= wanted),
    "properties": ("object", Validator.properties),
    "patternProperties": ("object", Validator.pattern_properties),
    "additionalProperties": ("object", Validator.additional_properties),
}
