"""Readers of changes: each source turns what a server sends into batches of events."""
