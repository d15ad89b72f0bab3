"""Cases of a configuration: events that are given, and what must become of them, without any server.

The way through this package: `files` reads a file of cases by the models of `models` and the configuration
that it names, `given` makes events, `running` puts them through what the daemon is made of, `telling` shows
messages as data, and `comparing` says what differs from what is expected.
"""
