"""eventbus: every MongoDB change, to every system that needs to hear of it."""

__version__ = "0.1.0"
