"""`python -m eventbus.devservices`, as a developer uses it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest
import redis

from eventbus.devservices.__main__ import main

COMMAND = [sys.executable, "-m", "eventbus.devservices"]


@pytest.mark.services
def test_it_prints_what_a_shell_can_export_and_runs_until_ctrl_c() -> None:
    """The addresses on stdout are live until SIGINT, which ends everything with status 0."""
    with subprocess.Popen(
        [*COMMAND, "redis"],
        env={name: value for name, value in os.environ.items() if name != "REDIS_URL"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        word, assignment = shlex.split(process.stdout.readline())
        name, _, url = assignment.partition("=")
        assert (word, name) == ("export", "REDIS_URL")
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            os.killpg(process.pid, signal.SIGINT)
            _, complaints = process.communicate(timeout=20)
            assert process.returncode == 0
            assert complaints in {"Running; Ctrl-C ends it.\n", ""}  # "": it came before that was said
            with pytest.raises(redis.ConnectionError):
                client.ping()


@pytest.mark.services
def test_fetch_starts_nothing() -> None:
    """It fills the cache; a full one takes no time."""
    assert main(["--fetch", "redis"]) == 0


def test_an_unknown_service_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are."""
    with pytest.raises(SystemExit) as caught:
        main(["mongo"])
    assert caught.value.code == 2
    assert (
        "there is no service 'mongo'; there are mongodb, redis, kafka, nats, opensearch"
        in capsys.readouterr().err
    )
