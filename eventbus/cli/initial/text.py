"""The text of a first configuration, with comments for whoever changes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson
import yaml

from eventbus.cli.initial.answers import TRANSACTIONAL, Answers, SinkAnswer

__all__ = ["configuration_text"]

_HEAD: Final = """\
# Written by `eventbus init`. What else there is: docs/configuration.md. To check it, and to run it:
#
#     eventbus validate {file} --connect
#     eventbus run -c {file}

# What is read: a replica set or a sharded cluster.
mongodb:
  uri: {uri}

"""
_STATE_IN_MONGODB: Final = """\
# Leases, positions and dead letters. Several daemons that share this database share the subscriptions.
state:
  type: mongodb
  database: eventbus

"""
_STATE_IN_A_FILE: Final = """\
# Leases, positions and dead letters, for one daemon. Several daemons need `type: mongodb`.
state:
  type: sqlite
  path: {path}

"""
_SERVER: Final = """\
# Where health and metrics are served, and the admin API to whoever has a token.
server:
  host: 127.0.0.1
  port: 8686
  {tokens}

# For every route that does not say otherwise.
defaults:
  retry: {{attempts: 5, initial_delay: 100ms, max_delay: 5s}}
  dead_letters: {{retention: 30d}}

"""
_CALLERS: Final = 'tokens: [{name: operator, token: "${EVENTBUS_TOKEN}", scope: write}]'
_OF_TYPE: Final = {
    "kafka": (
        "bootstrap_servers: {address}",
        'topic: "{{database}}.{{collection}}" # one for each collection; or a name for all of them',
    ),
    "webhook": (
        "url: {address}",
        "timeout: 10s",
        "# By default messages are not signed. To sign them:",
        '# signing: {{scheme: standard, secrets: ["${{WEBHOOK_SECRET}}"]}}',
    ),
    "redis": (
        "url: {address}",
        "mode: stream # or pubsub, list, set, hash, invalidate",
        'stream: "{{database}}.{{collection}}"',
        "# maxlen: 100000 # by default a stream grows without end",
    ),
    "mongodb": (
        "uri: {address}",
        'database: "{{database}}_copy"',
        'collection: "{{collection}}"',
        "mode: replace # documents as they are; or insert, upsert, aggregate",
    ),
    "file": ("path: {address}", "rotate_size: 128MiB"),
    "stdout": (),
}
"""By type of sink: the lines below its type."""

_IMAGES: Final = """\
      # The document as it was after a change, and before it: every collection here keeps images.
      full_document: when_available
      before: when_available
"""
_NO_IMAGES: Final = """\
      # The document when an update is read, which may be later, or gone. The document as it was, and before
      # the change, needs changeStreamPreAndPostImages on the collection: `eventbus doctor` says what to type.
      full_document: update_lookup
"""


def configuration_text(answers: Answers, file: str) -> str:
    """The file.

    Args:
        answers: What it is to say.
        file: Its name, for the commands in its first lines.
    """
    return "".join(_parts(answers, file))


def _parts(answers: Answers, file: str) -> Iterator[str]:
    yield _HEAD.format(file=file, uri=_yaml(answers.uri.written))
    if answers.state_path is None:
        yield _STATE_IN_MONGODB
    else:
        yield _STATE_IN_A_FILE.format(path=_yaml(answers.state_path))
    yield _SERVER.format(tokens=_CALLERS if answers.admin else f"# {_CALLERS}")
    yield "sinks:\n"
    for sink in answers.sinks:
        yield from _sink(sink, exactly_once=answers.exactly_once)
    yield "\nsubscriptions:\n"
    yield f"  {_yaml(answers.subscription)}:\n    source:\n      database: {_yaml(answers.database)}\n"
    if answers.collections:
        yield f"      collections: [{', '.join(map(_yaml, answers.collections))}]\n"
    else:
        yield "      # Without `collections` all of them are read, and those that are made later.\n"
    yield _IMAGES if answers.images else _NO_IMAGES
    yield "    start: now # where a route begins that has no position yet; or oldest, or a time\n"
    yield f"    routes: [{', '.join(sink.name for sink in answers.sinks)}]\n"


def _sink(sink: SinkAnswer, *, exactly_once: bool) -> Iterator[str]:
    yield f"  {sink.name}:\n    type: {sink.type}\n"
    address = "" if sink.address is None else _yaml(sink.address.written)
    for line in _OF_TYPE[sink.type]:
        yield f"    {line.format(address=address)}\n"
    if exactly_once and sink.type in TRANSACTIONAL:
        yield "    delivery: exactly_once # its target keeps the positions: docs/exactly-once.md\n"


def _yaml(text: str) -> str:
    """A text as YAML: as it is where that means the same, else in quotes."""
    plain = text.replace("-", "").replace("_", "").isalnum() and text.isascii()
    if plain and yaml.safe_load(text) == text:
        return text
    return orjson.dumps(text).decode()
