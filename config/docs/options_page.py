"""The page of every option, made from the JSON Schema: it cannot drift from what is checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from eventbus.config.schema import json_schema
from eventbus.registry import Registry

__all__ = ["page", "schema"]

Schema: TypeAlias = Mapping[str, Any]

_HEAD: Final = """\
# Every option

Made from the JSON Schema that `eventbus schema` prints ([the file](eventbus.schema.json)).
What the options are for, with examples: [configuration.md](configuration.md), [stages.md](stages.md).
In place of any value a [reference to a variable or a file](configuration.md#variables-and-files) may stand.
"""
_REFERENCE: Final = "text-with-reference"
_CHOICE: Final = ("oneOf", "anyOf")
_BOUNDS: Final = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}


def schema() -> dict[str, Any]:
    """The JSON Schema with every registered type."""
    return json_schema(Registry.from_entry_points())


def page(whole: Schema) -> str:
    """The page, in Markdown.

    Args:
        whole: The JSON Schema.
    """
    words = {f"#/$defs/{name}": part for name, part in whole["$defs"].items() if _is_choice_of_words(part)}
    whole = _with_words(whole, words)
    parts = {
        _title(name): part
        for name, part in whole["$defs"].items()
        if name != _REFERENCE and f"#/$defs/{name}" not in words
    }
    top = {"The sections": whole} | whole["properties"]
    shown = [text for name, part in (top | parts).items() for text in _sections(name, part)]
    return "\n".join([_HEAD, *shown])


def _title(name: str) -> str:
    """What a part is called; where several have a name, with the type that it belongs to."""
    *of, own = name.split("__")
    return f"{own} of {of[1].removesuffix('s')} {of[2]}" if len(of) > 2 else own


def _is_choice_of_words(part: Schema) -> bool:
    forms = _forms(part)
    return "enum" in part or (bool(forms) and all("const" in form for form in forms))


def _with_words(part: Any, words: Mapping[str, Schema]) -> Any:
    """The same, with words to choose from where they are chosen, as they have no section of their own."""
    if isinstance(part, list):
        return [_with_words(inner, words) for inner in part]
    if not isinstance(part, dict):
        return part
    chosen = words.get(str(part.get("$ref")), {})
    kept = {name: inner for name, inner in part.items() if not (chosen and name == "$ref")}
    return {**chosen, **{name: _with_words(inner, words) for name, inner in kept.items()}}


def _sections(heading: str, part: Schema, level: int = 2) -> Iterator[str]:
    """A section for an object with keys, and one for each of its forms."""
    if level == 2 and _forms(part):
        yield f"## `{heading}`\n\n{_prose(part.get('description', ''))}\n"
    if keys := part.get("properties"):
        yield _section(heading, part, keys, level)
        for name, inner in keys.items():
            if level > 2 or heading != "The sections":
                yield from _sections(f"{heading}.{name}", inner, level + 1)
    for inner in (*part.get("patternProperties", {}).values(), part.get("additionalProperties")):
        if isinstance(inner, Mapping):
            yield from _sections(f"{heading}.<name>", inner, level)
    if isinstance(part.get("items"), Mapping):
        yield from _sections(f"{heading}[]", part["items"], level)
    for form in _forms(part):
        yield from _sections(f"{heading}, {_kind(form)}", form, level)


def _kind(form: Schema) -> str:
    """What tells a form from the others: its `type`, or its first key."""
    keys = form.get("properties", {})
    constant = keys.get("type", {}).get("const")
    return f"type: {constant}" if constant else next(iter(keys), "")


def _forms(part: Schema) -> list[Schema]:
    return [form for word in _CHOICE for form in part.get(word, ())]


def _section(heading: str, part: Schema, keys: Schema, level: int) -> str:
    title = heading if heading == "The sections" else f"`{heading}`"
    rows = [
        f"| `{name}` | {_type(inner)} | {_default(name, inner, part)} | {_meaning(inner)} |"
        for name, inner in keys.items()
    ]
    return "\n".join(
        [
            f"{'#' * min(level, 4)} {title}",
            "",
            _prose(part.get("description", "")),
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(name: str, inner: Schema, part: Schema) -> str:
    if name in part.get("required", ()):
        return "required"
    return f"`{_cell(json.dumps(inner['default'], ensure_ascii=False))}`" if "default" in inner else ""


def _type(part: Schema) -> str:
    """What a value may be, in a few words."""
    if (name := part.get("$ref", "").rpartition("/")[2]) and name != _REFERENCE:
        return f"[{_title(name)}](#{_title(name).lower().replace(' ', '-')})"
    if words := part.get("enum", [part["const"]] if "const" in part else []):
        return ", ".join(f"`{_cell(str(word))}`" for word in words)
    if forms := _forms(part):
        found = [kind for form in forms if (kind := _type(form)) != "null"]
        return " or ".join(dict.fromkeys(filter(None, found))) or str(part.get("type", ""))
    return _type_of_one_form(part)


def _type_of_one_form(part: Schema) -> str:
    kind = str(part.get("type", ""))
    if kind == "array":
        inner = _type(part.get("items", {}))
        return f"list of {inner}" if inner else "list"
    if kind == "object":
        values = part.get("additionalProperties")
        inner = _type(values) if isinstance(values, Mapping) else ""
        return f"{inner} by name" if inner else "mapping"
    bounds = [f"{word} {part[key]}" for key, word in _BOUNDS.items() if key in part]
    return ", ".join(filter(None, [kind, *bounds]))


def _meaning(part: Schema) -> str:
    return _cell(part.get("description", ""))


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")
