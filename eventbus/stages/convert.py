"""Gives values another type."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from eventbus.sdk import Options, StageContext
from eventbus.stages.conversion import Kind, converted
from eventbus.stages.fields import Around, FieldStage, OnInvalid
from eventbus.stages.targets import FieldPath

__all__ = ["Convert", "ConvertOptions"]

_WHOLE: Final = frozenset({"array", "object"})


class ConvertOptions(Options):
    """What is converted."""

    fields: Annotated[dict[FieldPath, Kind], Field(min_length=1)]
    """Types by path, which reaches into arrays: `string`, `int`, `double`, `decimal`, `bool`, `date`,
    `object_id`, `array` or `object`."""
    on_invalid: OnInvalid = "fail"
    """What becomes of a value that has no such form: `fail` makes the event a dead letter, `null` puts null
    there, `keep` leaves it."""


class Convert(FieldStage):
    """Converts fields.

    Args:
        options: What is converted.
        context: What every stage is given.
    """

    name = "convert"
    short: ClassVar[str] = "fields"
    short_maps: ClassVar[bool] = True
    Options = ConvertOptions

    def __init__(self, options: ConvertOptions, context: StageContext) -> None:
        super().__init__(context, list(options.fields), None, options.on_invalid)
        self._kinds = options.fields

    def is_itemwise(self, path: str) -> bool:
        """See `FieldStage`."""
        return self._kinds[path] not in _WHOLE

    def made(self, value: Any, around: Around) -> Any:
        """See `FieldStage`."""
        return converted(value, self._kinds[around.path])
