"""What runs where of a subscription, and why: found in the configuration, without asking any server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from eventbus.administration.names import check_subscription
from eventbus.cli.explanation_text import print_explanation
from eventbus.cli.printing import print_json
from eventbus.config import Config, ResolvedRoute, ResolvedSink
from eventbus.config.pipelines import expressions_in, names_set, says
from eventbus.config.resolved import ResolvedStage
from eventbus.model import ClusterTime, Event
from eventbus.sdk import Condition, ExplainedSource
from eventbus.servers import source_of

__all__ = ["explain"]

_DOCUMENTS: Final = ("before", "changed", "document")
_IN_TEMPLATES: Final = re.compile(r"\{((?:before|changed|document)(?:[.\[][^{}]*)?)\}")


def explain(config: Config, subscription: str, as_json: bool) -> None:
    """Print it.

    Raises:
        ConfigurationError: There is no such subscription.
    """
    check_subscription(config, subscription)
    found = explanation(config, subscription)
    if as_json:
        print_json(found)
    else:
        print_explanation(found)


def explanation(config: Config, name: str) -> dict[str, Any]:
    """What runs where, as values that JSON can hold."""
    declared = config.subscriptions[name]
    source = source_of(config, name, None)
    stages = _stages(declared.pipeline)
    return {
        "subscription": name,
        "service": declared.service,
        "source": {
            "type": declared.source.type,
            **(source.explain() if isinstance(source, ExplainedSource) else {}),
        },
        "pipeline": stages,
        "routes": [_route(route, config.sinks[route.sink], stages) for route in declared.routes],
    }


def _stages(stages: Sequence[ResolvedStage]) -> list[dict[str, Any]]:
    return [_stage(place, stage) for place, stage in enumerate(stages, start=1)]


def _stage(place: int, stage: ResolvedStage) -> dict[str, Any]:
    return {
        "label": stage.name or f"{stage.type} ({place})",
        "type": stage.type,
        "looks_into": _mentioned(stage.options),
        "decodes": not getattr(stage.cls, "looks_where_told", False) or bool(_told(stage.options)),
        "sets": sorted(names_set(stage.cls, stage.options)),
        "waits": says(stage.cls, "waits", stage.options),
        "remembers": says(stage.cls, "remembers", stage.options),
        "on_error": stage.on_error,
    }


def _route(route: ResolvedRoute, sink: ResolvedSink, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = _stages(route.pipeline)
    return {
        "route": route.name,
        "sink": route.sink,
        "sink_type": sink.type,
        "when": _condition(route.when),
        "pipeline": own,
        "encoding": route.encoding.model_dump(mode="json", by_alias=True, exclude_none=True),
        "decoded_by": [*_decoding_stages(before), *_decoding_route(route, sink, own)],
        "delivery": {
            "promise": "exactly_once" if route.exactly_once else "at_least_once",
            "ordering": route.ordering,
            "attempts": route.retry.attempts,
            "holds_keys": route.holds_keys,
        },
    }


def _condition(when: Condition | None) -> dict[str, Any] | None:
    return None if when is None else {"text": when.text, "looks_into": sorted(when.paths)}


def _decoding_stages(stages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (f"stage {stage['label']}" for stage in stages if stage["decodes"])


def _decoding_route(
    route: ResolvedRoute, sink: ResolvedSink, own: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if route.when is not None and any(map(_is_of_document, route.when.paths)):
        yield "when"
    yield from _decoding_stages(own)
    if _uses_encoding(sink) and not _copies(route):
        yield "encoding"
    if any(_IN_TEMPLATES.search(text) for text in _texts(sink.options)):
        yield f"sink {route.sink}"


def _copies(route: ResolvedRoute) -> bool:
    """Whether messages have the very bytes that the server sent of documents."""
    encoding = route.encoding
    return encoding.format == "bson" and encoding.body is None and not (encoding.fields or encoding.without)


def _uses_encoding(sink: ResolvedSink) -> bool:
    """Whether the sink asks for an event's encoded form; some write documents or keys of their own making."""
    noted = _NotedEncoder()
    try:
        sink.make("explained").encode(_EVENT, noted)
    except Exception:  # noqa: BLE001 - it wants more of an event than this one has, so nobody knows
        return True
    return noted.was_asked


class _NotedEncoder:
    """Notes whether it was asked for anything."""

    content_type = "application/json"

    def __init__(self) -> None:
        self.was_asked = False

    def encode(self, event: Event) -> bytes:  # noqa: ARG002 - the answer is the same
        self.was_asked = True
        return b"{}"

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - as above
        return ()


_EVENT: Final = Event(
    token="82",  # noqa: S106 - a place in a stream
    operation="insert",
    database="database",
    collection="collection",
    cluster_time=ClusterTime(1, 1),
    document_key=b"\x0e\0\0\0\x10_id\0\x01\0\0\0\0",
    document=b"\x0e\0\0\0\x10_id\0\x01\0\0\0\0",
)


def _mentioned(options: BaseModel) -> list[str]:
    """The paths that expressions name."""
    return sorted({path for _, expression in expressions_in(options) for path in expression.paths})


def _told(options: BaseModel) -> set[str]:
    """Where in documents the options look, or put something."""
    targets = filter(_is_of_document, _texts(options))
    return {*filter(_is_of_document, _mentioned(options)), *targets}


def _is_of_document(path: str) -> bool:
    return path.split(".", maxsplit=1)[0] in _DOCUMENTS


def _texts(value: Any) -> Iterator[str]:
    """Every text in some options; secrets and expressions are of types of their own."""
    match value:
        case str():
            yield value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _texts(getattr(value, name))
        case Mapping():
            for name, inner in value.items():
                yield from _texts(name)
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
