"""Which compression the driver can do, for that depends on what is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

__all__ = ["installed_compressor"]

_MODULES: Final = {
    "zlib": "zlib",
    "zstd": "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd",
    "snappy": "snappy",
}
_PACKAGES: Final = {"zstd": "backports.zstd", "snappy": "python-snappy"}


def installed_compressor(name: str) -> str:
    """The name, if the driver can compress so; it would only warn otherwise, and not compress.

    Raises:
        ValueError: The module for it is not installed.
    """
    module = _MODULES[name]
    if not all(find_spec(part) for part in (module.partition(".")[0], module)):
        raise ValueError(f"{name} needs the Python package {_PACKAGES[name]}, which is not installed")
    return name
