"""Changes out of MongoDB, read from its change streams.

The data's way: `source` (what the runtime sees) → `reader` (polls, for ever) → `cursor` (one cursor at the
server, by plain commands) → `reply` and `changes` (raw bytes to events), with `delta` and `lookups` for what
only some want. Beside it stand the decisions, which do no I/O: `options` and `stream` (what is asked for),
`course` (where to go on), `errors` (what each failure asks for), `tokens`. `client` is what the daemon reads
with, `member` keeps it to one member; `heartbeat` writes.

A snapshot adds documents: `beginning` decides what is read, of what `inventory` finds; `snapshot_reader` has
a `reader` and beside it the queries of `documents`, whose results are put, as `reads`, where `splice` says.
"""

from eventbus.sources.mongodb.options import MongoOptions
from eventbus.sources.mongodb.source import MongoSource

__all__ = ["MongoOptions", "MongoSource"]
