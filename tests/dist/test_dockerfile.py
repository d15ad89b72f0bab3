"""The Dockerfile by itself: what goes in, who runs it, how it says that it is well."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from eventbus.cli.commands import app
from tests.dist.dockerfile import Copy, stages
from tests.dist.ignoring import Ignoring
from tests.dist.image_steps import DOCKERFILE
from tests.docs.pages import ROOT

STAGES = stages(DOCKERFILE)
LAST = list(STAGES.values())[-1]
IGNORING = Ignoring(ROOT / ".dockerignore")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """A file that .dockerignore leaves out is missing only when an engine builds."""
    taken = [source for word in STAGES["build"].all("COPY") for source in Copy.of(word).sources]
    assert {"pyproject.toml", "eventbus", "config", "tests/constraints.txt"} <= set(taken)
    for source in taken:
        assert (ROOT / source).exists(), source
        assert not IGNORING.leaves_out(source), source


@pytest.mark.parametrize(
    "path",
    [".git", ".venv/bin/python", "tests/conftest.py", "helm/eventbus/values.yaml", "config/deploy/x", ".env"],
)
def test_what_is_no_part_of_it_stays_outside(path: str) -> None:
    """The history, environments, tests: they would make the context large, or leak what lies about."""
    assert IGNORING.leaves_out(path)


def test_caches_stay_outside_wherever_they_are() -> None:
    """A pattern with two stars reaches into every folder."""
    assert IGNORING.leaves_out("eventbus/core/__pycache__/lanes.cpython-311.pyc")
    assert not IGNORING.leaves_out("eventbus/core/lanes.py")


def test_the_last_stage_installs_nothing_and_is_nobody() -> None:
    """It begins as slim as the first one began, takes the result over, and runs as a numbered user."""
    assert LAST.base == STAGES["build"].base
    assert "-slim-" in LAST.base
    assert LAST.all("RUN") == []
    assert LAST.all("ADD") == []
    assert LAST.one("USER").rest == "65532:65532"
    assert {Copy.of(word).stage for word in LAST.all("COPY")} == {"build"}


def test_only_wheels_are_installed() -> None:
    """Then no compiler has to be in any stage, and none is."""
    steps = " ".join(word.rest for word in STAGES["build"].all("RUN"))
    assert "--only-binary :all:" in steps
    assert "apt-get" not in steps


def test_python_and_the_extras_are_those_of_the_project() -> None:
    """By default the Python that the tests run on, and extras that exist."""
    extras = next(word.rest for word in STAGES["build"].all("ARG") if word.rest.startswith("EXTRAS="))
    assert set(extras.partition("=")[2].split(",")) <= set(PROJECT["optional-dependencies"])
    version = LAST.base.partition(":")[2].partition("-")[0]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_the_labels_are_those_of_the_project() -> None:
    """What a registry shows is what the package says."""
    label = LAST.one("LABEL").rest
    assert f'title="{PROJECT["name"]}"' in label
    assert f'description="{PROJECT["description"]}"' in label
    assert f'licenses="{PROJECT["license"]}"' in label


def test_what_it_runs_is_a_command() -> None:
    """ENTRYPOINT and CMD together: the command line takes them, and misses nothing but the file."""
    program, *rest = [*LAST.one("ENTRYPOINT").words, *LAST.one("CMD").words]
    assert PROJECT["scripts"][program] == "eventbus.cli:main"
    said = CliRunner().invoke(app, rest)
    assert said.exit_code == 2
    assert "does not exist" in " ".join(said.output.replace("│", "").split())


@contextmanager
def _answering(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_is_the_liveness(status: int, code: int) -> None:
    """It asks /livez of the port that EVENTBUS_PORT names, and fails when that does."""
    with _answering(status) as port:
        assert _health(port) == code


def test_the_health_check_fails_where_nobody_listens() -> None:
    """A daemon that hangs or is not there is not healthy."""
    with _answering(200) as port:
        pass
    assert _health(port) == 1


def _health(port: int) -> int:
    command = LAST.one("HEALTHCHECK").rest.partition(" CMD ")[2]
    program, *rest = json.loads(command)
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *rest],
        env={**os.environ, "EVENTBUS_PORT": str(port)},
        capture_output=True,
        check=False,
    )
    return done.returncode
