"""Elasticsearch and OpenSearch as a sink of eventbus: documents that never go back in time."""

from eventbus_elasticsearch.options import ElasticsearchOptions
from eventbus_elasticsearch.sink import ElasticsearchSink

__all__ = ["ElasticsearchOptions", "ElasticsearchSink"]
