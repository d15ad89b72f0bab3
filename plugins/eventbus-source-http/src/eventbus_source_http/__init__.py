"""A paged JSON API as a source of eventbus: each item that is new or changed is an event."""

from eventbus_source_http.options import HttpSourceOptions
from eventbus_source_http.source import HttpSource

__all__ = ["HttpSource", "HttpSourceOptions"]
