"""Fetched servers appear whole or not at all, once, whoever asks at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventbus.devservices._cache import cache_directory, cached, run_tool
from eventbus.devservices._errors import FetchFailed


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENTBUS_SERVICES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_second_request_fetches_nothing(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One fetch, one line of progress, and the same directory ever after."""
    calls: list[Path] = []

    def fetch(part: Path) -> None:
        calls.append(part)
        (part / "server").touch()

    for _ in range(2):
        assert cached("server-1", fetch, progress="fetching server-1") == cache / "server-1"
    assert (cache / "server-1/server").exists()
    assert len(calls) == 1
    assert capfd.readouterr().err == "eventbus: fetching server-1\n"


def test_a_failed_fetch_leaves_no_trace(cache: Path) -> None:
    """The next attempt starts from nothing, not from half a server."""

    def fail(part: Path) -> None:
        (part / "half").touch()
        raise FetchFailed("the network is gone")

    with pytest.raises(FetchFailed, match="the network is gone"):
        cached("server-1", fail, progress="fetching")
    assert [path.name for path in cache.iterdir()] == [".server-1.lock"]


def test_what_a_killed_fetch_left_is_removed(cache: Path) -> None:
    """A fetch that was killed half way costs no disk space for ever."""
    (cache / ".server-1.part-abc").mkdir(parents=True)
    cached("server-1", lambda part: (part / "server").touch(), progress="fetching")
    assert sorted(path.name for path in cache.iterdir()) == [".server-1.lock", "server-1"]


def test_processes_at_once_fetch_once(cache: Path, tmp_path: Path) -> None:
    """One fetches while the others wait for it, and all have what it fetched."""
    script = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from eventbus.devservices._cache import cached

        def fetch(part):
            Path(f"fetching-{os.getpid()}").touch()
            while len(list(Path().glob("asking-*"))) < 3:  # the others have come as far as the lock
                time.sleep(0.01)
            (part / "server").touch()

        Path(f"asking-{os.getpid()}").touch()
        sys.exit(not (cached("server-1", fetch, progress="fetching") / "server").exists())
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment)
            )
            for _ in range(3)
        ]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.glob("fetching-*"))) == 1


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the directory."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("EVENTBUS_SERVICES_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchFailed, match=f"the cache directory {tmp_path / 'file'} cannot be used"):
        cached("server-1", lambda _part: None, progress="fetching")


def test_the_default_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME, or ~/.cache without it."""
    monkeypatch.delenv("EVENTBUS_SERVICES_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "eventbus/services"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache/eventbus/services"


def test_a_tool_that_is_missing_or_fails_is_named(tmp_path: Path) -> None:
    """The reason in Unavailable comes from here."""
    with pytest.raises(FetchFailed, match="no-such-tool is not installed"):
        run_tool("no-such-tool", cwd=tmp_path)
    with pytest.raises(FetchFailed, match="sh said: error: out of luck"):
        run_tool("sh", "-c", "echo first; echo error: out of luck; echo last; exit 3", cwd=tmp_path)
