"""What of a subscription runs in MongoDB, told without asking a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from bson import json_util
from bson.binary import UuidRepresentation

from eventbus.sources.mongodb.options import MongoOptions
from eventbus.sources.mongodb.stream import SPLIT, Stage, StreamSpec

__all__ = ["explanation"]

_WHY: Final = {
    "collections": "several collections are read by one stream of their database",
    "state": "the daemon's own database is never read as changes",
    "heartbeat": "the daemon's own heartbeat is never read as changes",
    "operations": "only these kinds of change are wanted",
    "match": "the filter of the configuration; it holds for every kind of change",
    "fields": "an update passes only if it touched one of these fields; all other changes pass",
    "classify": "names by cases: conditions and stages know them, and messages carry them under meta",
    "project": "only these fields of documents, and of what updates changed, are sent",
    "pipeline": "further stages of the configuration",
    "split": "changes above 16 MB come in parts, where the server can do that (6.0.9, 7.0 and later)",
}

_RELAXED: Final = json_util.JSONOptions(
    json_mode=json_util.JSONMode.RELAXED, tz_aware=True, uuid_representation=UuidRepresentation.UNSPECIFIED
)


def explanation(options: MongoOptions, spec: StreamSpec) -> dict[str, Any]:
    """Scope, options and stages of the stream, as values that JSON can hold.

    Args:
        options: What the user wrote under ``source``.
        spec: The stream that is made of it.
    """
    by_option = {**spec.own, **spec.written, "split": (SPLIT,)}
    return {
        "scope": _scope(options),
        "command": {"database": spec.database, "aggregate": spec.target, "options": dict(spec.options)},
        "stages": [
            {"option": option, "why": _why(option, options), "stage": _extended(stage)}
            for option, stages in by_option.items()
            for stage in stages
        ],
        "names": sorted(options.classify or ()),
    }


def _why(option: str, options: MongoOptions) -> str:
    paths = {"fields": options.fields, "project": options.project}.get(option)
    return f"{_WHY[option]}: {', '.join(paths)}" if paths else _WHY[option]


def _scope(options: MongoOptions) -> dict[str, Any]:
    if options.database is None:
        kind = "cluster"
    elif options.collections is None:
        kind = "database"
    else:
        kind = "collection" if len(options.collections) == 1 else "collections"
    return {"kind": kind, "database": options.database, "collections": options.collections or []}


def _extended(stage: Stage) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(json_util.dumps(stage, json_options=_RELAXED))
    return found
