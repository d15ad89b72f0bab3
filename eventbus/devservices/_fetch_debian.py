"""Fetches programs from Debian packages, unpacked and not installed, with apt-get as it is configured."""

from __future__ import annotations

import getpass
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from eventbus.devservices._cache import cached, run_tool
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Program

_DEPENDENCY_DEPTH = 3


@dataclass(frozen=True, slots=True)
class DebianProgram:
    """A program and the packages that it is unpacked from.

    Args:
        name: Names what is kept.
        packages: Those that have it.
        program: Where it lies in them.
        size: How much is downloaded, for people who wait for it.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    size: str

    def fetch(self) -> Program:
        """Return the program out of the cache, fetching it first if need be.

        Raises:
            FetchFailed: there is no apt-get or dpkg here, or they failed.
        """
        program = Path(self.program).name
        if shutil.which("dpkg") is None:
            raise FetchFailed(f"there is no {program} on PATH, and only Debian's package can be fetched")
        directory = cached(
            self._cached_name(), self._fill, progress=f"fetching {program} with apt-get ({self.size})"
        )
        return self._program(directory)

    def _cached_name(self) -> str:
        """Name the system too: the package is built against its libraries, and a cache may be shared."""
        system = platform.freedesktop_os_release()
        return f"{self.name}-{system['ID']}-{system.get('VERSION_ID', 'unstable')}-{platform.machine()}"

    def _program(self, directory: Path) -> Program:
        libraries = sorted({str(library.parent) for library in (directory / "root").rglob("lib*.so*")})
        environment = {"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}
        return Program((str(directory / "root" / self.program),), environment)

    def _fill(self, part: Path) -> None:
        """Unpack the packages, then those of the shared libraries that the program misses here."""
        packages = list(self.packages)
        for _ in range(_DEPENDENCY_DEPTH):
            _unpack(packages, part)
            missing = _missing_libraries(self._program(part), part)
            if not missing:
                shutil.rmtree(part / "debs")
                shutil.rmtree(part / "apt", ignore_errors=True)
                return
            packages = _libraries_of(packages, part)
            if not packages:
                break
        raise FetchFailed(f"{self.name} needs {', '.join(missing)}")


def _unpack(packages: list[str], part: Path) -> None:
    debs = part / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir()
    try:
        run_tool("apt-get", "download", *packages, cwd=debs)
    except FetchFailed:
        run_tool("apt-get", *_own_lists(part), "update", cwd=debs)
        run_tool("apt-get", *_own_lists(part), "download", *packages, cwd=debs)
    for deb in debs.glob("*.deb"):
        run_tool("dpkg", "-x", str(deb), str(part / "root"), cwd=part)


def _own_lists(part: Path) -> list[str]:
    """Point apt-get at lists of our own: the machine's are missing, or too old, and not ours to write."""
    lists, cache = part / "apt/lists", part / "apt/cache"
    for directory in (lists, cache):
        (directory / "partial").mkdir(parents=True, exist_ok=True)
    options = (f"Dir::State::Lists={lists}", f"Dir::Cache={cache}", f"APT::Sandbox::User={getpass.getuser()}")
    return [word for option in options for word in ("-o", option)]


def _missing_libraries(program: Program, part: Path) -> list[str]:
    listing = run_tool("ldd", *program.argv, cwd=part, environment=program.environment)
    return re.findall(r"(\S+) => not found", listing)


def _libraries_of(packages: list[str], part: Path) -> list[str]:
    """Return the library packages that these depend on and that are not installed."""
    own_lists = _own_lists(part) if (part / "apt").exists() else []
    listing = run_tool("apt-cache", *own_lists, "depends", *packages, cwd=part)
    wanted = set(re.findall(r"^ [ |]Depends: (lib[\w.+-]+)$", listing, re.MULTILINE))
    return sorted(name for name in wanted if not _is_installed(name, part))


def _is_installed(package: str, part: Path) -> bool:
    try:
        return "ok installed" in run_tool("dpkg-query", "-W", "-f", "${Status}", package, cwd=part)
    except FetchFailed:
        return False
