"""The stage `validate`: rules of the business that every event has to keep."""

from eventbus.stages.validate.options import ValidateOptions
from eventbus.stages.validate.stage import Validate

__all__ = ["Validate", "ValidateOptions"]
