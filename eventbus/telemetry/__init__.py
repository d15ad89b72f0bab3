"""Logs and metrics: code calls a named function, one place turns it into a line and a number."""
