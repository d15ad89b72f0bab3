"""Conditions and computed values over events, in the Common Expression Language."""
