"""Looks for what would keep a configuration from working well, and says what to do about each thing.

It changes nothing but one document in the state's database, which it removes again, and what is asked of it.
"""
