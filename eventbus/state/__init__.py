"""Leases, positions and dead letters, kept in MongoDB or SQLite."""
