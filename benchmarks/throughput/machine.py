"""Where it was measured, and with what."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from eventbus import __version__

__all__ = ["machine", "versions"]

_PACKAGES: Final = (
    *(
        "pymongo",
        "python-bsonjs",
        "orjson",
        "aiokafka",
        "aiohttp",
        "redis",
        "hiredis",
        "httptools",
        "anyio",
        "uvloop",
    ),
)


def machine() -> dict[str, Any]:
    """Cores, processor, memory, kernel, and how busy it was."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_gb": round(pages * size / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of eventbus, Python, and the packages that do the work."""
    found = {"eventbus": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
