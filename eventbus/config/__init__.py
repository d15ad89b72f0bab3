"""What users write, checked: YAML in, values out, every problem at once with its place.

The way through this package: `reading` turns text into a tree with places, `merging` joins several files,
`interpolation` puts variables in, `resolution` and `subscriptions` check each part by the models of `models`
or of a plugin (`checking`, `wording`) and by the rules of `checks`, and `resolved` is what comes out.
`schema` tells an editor the same. Nothing here connects to anything.
"""

from eventbus.config.loading import load
from eventbus.config.resolved import (
    Config,
    MongoDBAccess,
    MongoDBState,
    ResolvedRoute,
    ResolvedSink,
    ResolvedSource,
    ResolvedSubscription,
    SQLiteState,
)
from eventbus.config.schema import json_schema

__all__ = [
    "Config",
    "MongoDBAccess",
    "MongoDBState",
    "ResolvedRoute",
    "ResolvedSink",
    "ResolvedSource",
    "ResolvedSubscription",
    "SQLiteState",
    "json_schema",
    "load",
]
