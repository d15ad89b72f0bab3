"""The file sink: one JSON object a line, rotated, or Parquet files."""

from eventbus.sinks.file.sink import FileOptions, FileSink

__all__ = ["FileOptions", "FileSink"]
