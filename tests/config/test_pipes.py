"""What is no regular file is not read: whoever reads would wait for somebody else, perhaps for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.config import load
from eventbus.config.content import content_of
from eventbus.errors import ConfigurationError
from eventbus.reloading.files import ConfigFiles
from tests.config.fakes import REGISTRY, SMALLEST, problems_of, with_sink


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe with a configuration in it for whoever reads it: so a mistake fails instead of hanging."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=[SMALLEST], daemon=True)
    writer.start()
    yield path
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.join()
    os.close(reader)


def test_a_pipe_and_a_device_are_refused(pipe: Path) -> None:
    """At once, as any other file that cannot be read."""
    with pytest.raises(ConfigurationError) as caught:
        load([pipe, "/dev/zero"], REGISTRY, {})
    assert caught.value.problems == (
        "/dev/zero:1:1: cannot be read: not a regular file",
        f"{pipe}:1:1: cannot be read: not a regular file",
    )


def test_a_pipe_that_a_value_is_to_come_from_is_refused(pipe: Path, tmp_path: Path) -> None:
    """Standard input, too: a daemon reads such a file again and again."""
    for name, shown in ((pipe.name, pipe.name), ("/dev/zero", "/dev/zero")):
        (problem,) = problems_of(with_sink(f"{{type: hook, url: '${{file:{name}}}'}}"), tmp_path)
        assert problem.endswith(f"sinks.feed.url: file {shown} cannot be read: not a regular file")


def test_what_the_shell_gives_is_read(tmp_path: Path) -> None:
    """As ``<(command)``, or standard input: the shell has a command at its other end."""
    reading, writing = os.pipe()
    os.write(writing, b"sinks: {}\n")
    os.close(writing)
    try:
        given = Path(f"/dev/fd/{reading}")
        with pytest.raises(OSError, match="not a regular file"):
            content_of(given)
        with pytest.raises(ConfigurationError) as caught:
            load([given], REGISTRY, {})
        assert not any("regular" in problem for problem in caught.value.problems)
    finally:
        os.close(reading)


def test_a_daemon_takes_nothing_that_can_be_read_only_once(pipe: Path) -> None:
    """Neither at its start nor when it looks whether its files have changed."""
    reading, writing = os.pipe()
    os.close(writing)
    try:
        for path in (pipe, Path(f"/dev/fd/{reading}")):
            files = ConfigFiles([path])
            for read in (files.load, files.read):
                with pytest.raises(ConfigurationError, match="more than once"):
                    read()
            assert files.digest() == ConfigFiles([path]).digest()
    finally:
        os.close(reading)


def test_a_file_that_becomes_a_pipe_is_a_change_that_is_refused(pipe: Path, tmp_path: Path) -> None:
    """What a daemon runs stays as it is."""
    path = tmp_path / "eventbus.yaml"
    path.write_text(SMALLEST)
    files = ConfigFiles([path])
    before = files.digest()
    path.unlink()
    path.symlink_to(pipe.name)
    assert files.digest() != before
    with pytest.raises(ConfigurationError, match="more than once"):
        files.load()
