"""What `eventbus explain` prints for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from rich.text import Text

from eventbus.cli.printing import print_lines, printable

__all__ = ["print_explanation"]

_NO_STAGES: Final = "no stages: every event goes to the routes as it comes"


def print_explanation(found: Mapping[str, Any]) -> None:
    """Print what `explaining.explanation` has found."""
    print_lines(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[Text]:
    yield _title(f"subscription {found['subscription']}, service {found['service']}")
    yield from _source(found["source"])
    yield _title("in the daemon, for all routes")
    yield from _stages(found["pipeline"], _NO_STAGES)
    for route in found["routes"]:
        yield _title(f"route {route['route']}, into the sink {route['sink']} ({route['sink_type']})")
        yield from _route(route)


def _source(source: Mapping[str, Any]) -> Iterator[Text]:
    yield _title(f"in the source, {source['type']}")
    if "scope" in source:
        yield _row("changes of", _scope(**source["scope"]))
    if command := source.get("command"):
        yield _row("asked by", f"aggregate {command['aggregate']} on the database {command['database']}")
        yield _row("options", _json(command["options"]) if command["options"] else "those of the server")
    for place, stage in enumerate(source.get("stages", ()), start=1):
        yield _row(f"{place} {stage['option']}", stage["why"])
        yield _row("", _json(stage["stage"]))
    if names := source.get("names"):
        yield _row("gives", _listed(names))


def _scope(kind: str, database: str | None, collections: Sequence[str]) -> str:
    match kind:
        case "cluster":
            return "the whole cluster"
        case "database":
            return f"all collections of the database {database}"
    return f"{_listed(collections)} in the database {database}"


def _stages(stages: Sequence[Mapping[str, Any]], nothing: str) -> Iterator[Text]:
    if not stages:
        yield _row("pipeline", nothing)
    for stage in stages:
        yield _row(stage["label"], "; ".join(_of_stage(stage)))


def _of_stage(stage: Mapping[str, Any]) -> Iterator[str]:
    if stage["looks_into"]:
        yield f"looks into {_listed(stage['looks_into'])}"
    yield "decodes documents" if stage["decodes"] else "decodes no document"
    if stage["sets"]:
        yield f"sets {_listed(stage['sets'])}"
    if stage["waits"]:
        yield "waits for others"
    if stage["remembers"]:
        yield "remembers events"
    yield f"on_error: {stage['on_error']}"


def _route(route: Mapping[str, Any]) -> Iterator[Text]:
    when = route["when"]
    yield _row("when", when["text"] if when else "every event")
    if when:
        yield _row("", f"looks into {_listed(when['looks_into']) or 'nothing'}")
    yield from _stages(route["pipeline"], "no stages of its own")
    yield _row("encoding", _json(route["encoding"]))
    by = _listed(route["decoded_by"])
    yield _row("documents", f"decoded by {by}" if by else "never decoded: their bytes go on as they came")
    delivery = route["delivery"]
    promise = delivery["promise"].replace("_", " ")
    yield _row("delivery", f"{promise}, ordering {delivery['ordering']}, {delivery['attempts']} attempts")
    if delivery["holds_keys"]:
        yield _row("", "later events of a key wait behind its dead letter")


def _title(text: str) -> Text:
    return Text(printable(text), style="bold")


def _row(name: str, text: str) -> Text:
    return Text(f"  {printable(name):<14}{printable(text)}".rstrip())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
