"""Decisions without I/O: windows, lanes, backoff, circuits. Standard library, anyio and tenacity only."""
