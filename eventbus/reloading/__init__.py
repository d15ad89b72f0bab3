"""Another configuration for a daemon that runs: only what changed is begun anew.

The way through this package: `files` reads what users write and says whether it changed, `comparing` decides
what that means for the configuration in force, `fleet` makes what is new, `turnover` ends and begins,
`reloader` does one reload after the other and tells what came of it, `watching` asks for
one when files change.
"""
