"""Asks a web service about events: `eventbus.stages.http_lookup.stage` is the stage."""

from eventbus.stages.http_lookup.options import HttpLookupOptions
from eventbus.stages.http_lookup.stage import HttpLookup

__all__ = ["HttpLookup", "HttpLookupOptions"]
