"""Durations, sizes and rates as people write them: ``250ms``, ``2h``; ``64KiB``; ``50/s``, ``20/h``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Duration", "Rate", "Size", "parse_duration", "parse_rate", "parse_size"]

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PER_SECOND: Final = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
_DURATION_PATTERN: Final = r"^\d+(\.\d+)?(ms|s|m|h|d)$"
_SIZE_PATTERN: Final = r"^\d+(\.\d+)?(B|KB|MB|GB|KiB|MiB|GiB)$"
_RATE_PATTERN: Final = r"^\d+(\.\d+)?(/s|/min|/h)$"


def parse_duration(value: Any) -> float:
    """Seconds of a text such as ``1.5s``.

    Raises:
        ValueError: The text has no unit or one that is not known.
    """
    return _parse(value, _DURATION_PATTERN, _SECONDS, "a duration with its unit, such as 250ms, 5s or 2h")


def parse_size(value: Any) -> int:
    """Bytes of a text such as ``16MiB``.

    Raises:
        ValueError: The text has no unit or one that is not known.
    """
    return int(_parse(value, _SIZE_PATTERN, _BYTES, "a size with its unit, such as 512B, 64KiB or 16MiB"))


def parse_rate(value: Any) -> float:
    """Events each second of a text such as ``3000/min``.

    Raises:
        ValueError: The text has no unit or one that is not known.
    """
    expected = "a rate above 0 with its unit, such as 50/s, 3000/min or 100/h"
    rate = _parse(value, _RATE_PATTERN, _PER_SECOND, expected)
    if rate == 0:
        raise ValueError(f"expected {expected}, got {value!r}")
    return rate


def _parse(value: Any, pattern: str, units: dict[str, Any], expected: str) -> float:
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {expected}, got {value!r}")
    unit = match[match.lastindex or 0]
    return float(value.removesuffix(unit)) * float(units[unit])


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["250ms", "5s", "2h"]}),
]
"""Seconds, written with a unit. Defaults in the code are plain numbers of seconds."""

Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "pattern": _SIZE_PATTERN, "examples": ["512B", "64KiB", "16MiB"]}),
]
"""Bytes, written with a unit. Defaults in the code are plain numbers of bytes."""

Rate = Annotated[
    float,
    BeforeValidator(parse_rate, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "pattern": _RATE_PATTERN, "examples": ["50/s", "3000/min"]}),
]
"""Events each second, written with a unit."""
