"""What the Dockerfile's steps make, made without an engine and used as a container would use it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

import eventbus
from eventbus.devservices import MongoService
from tests.dist.dockerfile import stages
from tests.dist.image_steps import DOCKERFILE, build, environment
from tests.docs.pages import ROOT
from tests.e2e.daemon import DaemonProcess

pytestmark = pytest.mark.dist

STAGES = stages(DOCKERFILE)
NOBODY = 65532


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user may look into."""
    folder = Path(tempfile.mkdtemp(prefix="eventbus-image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(place: Path) -> Path:
    """The result of the first stage."""
    return build(place)


def _inside(place: Path) -> list[str]:
    """Words before a command that give it what a container has: nobody's rights, a root that is read-only.

    Only root may do so; where we are not root, we are nobody's user already, and the root stays as it is.
    """
    if os.geteuid() != 0:
        return []
    script = (
        f"mount --make-rprivate / && mount --bind {place}/state {place}/state && "
        f"mount -o remount,ro,bind / && cd {place}/state && "
        f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --no-new-privs "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def _run(image: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    state = image.parent / "state"
    state.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        os.chown(state, NOBODY, NOBODY)
    return subprocess.run(
        [*_inside(image.parent), *words],
        env=environment(STAGES["eventbus"], image),
        cwd=state,
        capture_output=True,
        text=True,
        check=False,
    )


def _packages(image: Path) -> list[Distribution]:
    (folder,) = image.glob("lib/python*/site-packages")
    return list(distributions(path=[str(folder)]))


def test_it_is_the_version_that_the_sources_say(image: Path) -> None:
    """Run by nobody, on a root that cannot be written."""
    said = _run(image, ["eventbus", "--version"])
    assert said.stdout.strip() == eventbus.__version__, said.stderr


def test_the_root_cannot_be_written(image: Path) -> None:
    """Else the other tests would not show that this is enough."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a root that is read-only")
    refused = _run(image, ["sh", "-c", f"touch {image}/x || touch /tmp/eventbus-x"])
    assert refused.returncode != 0
    assert "Read-only" in refused.stderr


def test_the_example_is_understood_but_for_what_needs_another_extra(image: Path) -> None:
    """The default extras leave Parquet out, which is larger than all the rest, and nothing else."""
    shutil.copy(ROOT / "config/example.yaml", image.parent / "example.yaml")
    said = _run(image, ["eventbus", "validate", str(image.parent / "example.yaml")])
    (problem,) = said.stderr.splitlines()
    assert problem.endswith("install eventbus[parquet]")


def test_nothing_that_installs_or_compiles_is_in_it(image: Path) -> None:
    """Of Python; that the base is a slim one, where nothing is installed, says the rest."""
    names = {package.name.lower() for package in _packages(image)}
    assert names & {"pip", "setuptools", "wheel", "hatchling", "pytest", "mypy"} == set()
    assert list(image.rglob("*.whl")) == []


def test_the_bill_of_materials_lists_what_is_installed(image: Path) -> None:
    """Each package with its version and where it is known by that: no more, no fewer."""
    document = json.loads((image / "share/eventbus.cdx.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {(part["name"].lower(), part["version"]) for part in document["components"]}
    root = document["metadata"]["component"]
    assert root["name"] == "eventbus"
    installed = {(package.name.lower(), package.version) for package in _packages(image)}
    assert installed - listed - {("eventbus", eventbus.__version__)} == set()
    assert listed <= installed
    assert all("purl" in part for part in document["components"] if part["name"] != "eventbus")


def test_another_version_than_the_one_that_was_asked_for_is_not_built(image: Path) -> None:
    """The last condition of the step that installs: `--build-arg VERSION=…` labels nothing wrongly."""
    (step,) = [word.rest for word in STAGES["build"].all("RUN") if "VERSION" in word.rest]
    condition = step.rpartition(" test ")[2]
    for version, code in (("", 0), (eventbus.__version__, 0), ("9.9.9", 1)):
        variables = {**os.environ, "PREFIX": str(image), "VERSION": version}
        done = subprocess.run(["sh", "-euc", f"test {condition}"], env=variables, check=False)
        assert done.returncode == code, version


@pytest.mark.services
def test_the_daemon_runs_and_its_health_check_passes(
    image: Path, mongo: MongoService, fresh_database: str
) -> None:
    """With state in SQLite below the working directory, as nobody, on the root that is read-only."""
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": "state.db"},
        "sinks": {"out": {"type": "file", "path": "out.jsonl"}},
        "subscriptions": {"all": {"source": {"database": fresh_database}, "routes": ["out"]}},
    }
    _run(image, ["true"])  # makes the folder that may be written
    with DaemonProcess(
        image.parent,
        config,
        environment(STAGES["eventbus"], image),
        command=[*_inside(image.parent), "eventbus"],
        cwd=image.parent / "state",
    ) as daemon:
        daemon.start()
        port = daemon.events("admin_server_started")[-1]["port"]
        _, *words = json.loads(STAGES["eventbus"].one("HEALTHCHECK").rest.partition(" CMD ")[2])
        asked = [image / "bin/python", *words]
        checked = subprocess.run(asked, env={**os.environ, "EVENTBUS_PORT": str(port)}, check=False)
        assert checked.returncode == 0
        assert daemon.terminate() == 0
    assert (image.parent / "state/state.db").exists()
