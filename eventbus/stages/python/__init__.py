"""Hands events to a function of the user's own: `eventbus.stages.python.stage` is the stage."""

from eventbus.stages.python.stage import Python, PythonOptions

__all__ = ["Python", "PythonOptions"]
