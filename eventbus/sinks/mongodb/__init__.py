"""MongoDB: events as documents, or a mirror of the documents that they are about, in any cluster."""

from eventbus.sinks.mongodb.options import MongoSinkOptions
from eventbus.sinks.mongodb.sink import MongoSink

__all__ = ["MongoSink", "MongoSinkOptions"]
