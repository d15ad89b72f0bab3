"""Decisions without I/O: windows, lanes, waves, backoff, circuits. Standard library, anyio and tenacity only."""
