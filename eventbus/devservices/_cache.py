"""Keeps fetched servers in a directory that outlives the checkout and may be shared between processes.

A fetch writes beside its target and is renamed into place, so that whoever sees the directory sees all of
it; a file lock lets one process fetch while the others wait.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from eventbus.devservices._errors import FetchFailed

_FETCH_TIMEOUT_SECS = 900.0


def cache_directory() -> Path:
    """Return where fetched servers are kept, `EVENTBUS_SERVICES_CACHE` before the XDG default."""
    chosen = os.environ.get("EVENTBUS_SERVICES_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "eventbus" / "services"


def is_cached(name: str) -> bool:
    """Tell whether `name` has been fetched, without fetching it."""
    return (cache_directory() / name).is_dir()


def cached(name: str, fetch: Callable[[Path], None], *, progress: str) -> Path:
    """Return the directory of `name`, filling it first if need be.

    Args:
        name: names what is kept, version included: another version is another name.
        fetch: fills an empty directory, or raises FetchFailed and leaves no trace.
        progress: one line for stderr, printed only when something is really fetched.

    Raises:
        FetchFailed: the fetch failed, or the cache directory cannot be written.
    """
    target = cache_directory() / name
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / f".{name}.lock"):
            if not target.is_dir():
                _fill(target, fetch, progress)
    except OSError as error:
        raise FetchFailed(f"the cache directory {target.parent} cannot be used: {error}") from error
    return target


def run_tool(*argv: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a registry's client or an unpacker to its end and return what it printed.

    Raises:
        FetchFailed: it is not installed, failed, or took longer than 15 minutes.
    """
    if shutil.which(argv[0]) is None:
        raise FetchFailed(f"{argv[0]} is not installed")
    try:
        done = subprocess.run(  # noqa: S603  fixed words of this package, no shell
            argv,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_SECS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"{Path(argv[0]).name} took longer than {_FETCH_TIMEOUT_SECS:.0f} s") from error
    if done.returncode != 0:
        raise FetchFailed(f"{Path(argv[0]).name} said: {_complaint(argv, done.stderr + done.stdout)}")
    return done.stdout


def _fill(target: Path, fetch: Callable[[Path], None], progress: str) -> None:
    for abandoned in target.parent.glob(f".{target.name}.part-*"):  # left by a fetch that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    sys.stderr.write(f"eventbus: {progress}\n")
    sys.stderr.flush()
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        fetch(part)
        part.chmod(0o755)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel, however this process ends
        yield


def _complaint(argv: Sequence[str], output: str) -> str:
    """Pick the line that says most: the first one marked as an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if "error" in line.lower() or line.startswith("E:")]
    return (marked or lines[-1:] or [f"{' '.join(argv[:2])} failed"])[0]
