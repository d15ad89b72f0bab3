"""A daemon loads what its configuration needs: whatever else it loaded would stay in memory for its life."""

from __future__ import annotations

import sys
import uuid
from typing import Final

import pytest

from eventbus.devservices import MongoService
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import client_of

pytestmark = pytest.mark.services

_TELLING: Final = """
import atexit, json, sys

def tell():
    there = [name for name, module in sys.modules.items() if module is not None]
    loaded = sorted(name for name in there if type(sys.modules[name]).__name__ != "_Late")
    print(json.dumps({"event": "loaded", "modules": loaded}), flush=True)

atexit.register(tell)
from eventbus.cli import main
main()
"""
"""Runs the command line, and says at its end what was loaded, but for what only stands for a package."""

LIBRARIES: Final = frozenset(
    {
        *("pymongo", "bson", "gridfs", "bsonjs", "dns"),
        *("aiohttp", "aiohappyeyeballs", "aiosignal", "frozenlist", "idna", "multidict", "propcache", "yarl"),
        *("attr", "attrs", "anyio", "sniffio", "uvloop", "tenacity", "typing_extensions"),
        *("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "yaml", "_yaml", "cachetools"),
        *("orjson", "prometheus_client", "structlog", "typer", "annotated_doc", "shellingham", "click"),
    }
)
"""What a daemon with one subscription and a sink that discards cannot do without."""

PARTLY: Final = {
    "cases": frozenset[str](),
    "cli": frozenset(
        {
            *("commands", "completing", "dlq", "ending", "leaving_out", "looking", "options", "plugins"),
            "previews",
        }
    ),
    "demo": frozenset[str](),
    "devservices": frozenset[str](),
    "doctor": frozenset({"catalogue", "findings", "marked_event", "mongosh", "oplog"}),
    "expressions": frozenset(
        {"change", "expression", "functions", "library", "scanning", "values", "view"},
    ),
    "preview": frozenset[str](),
    "sinks": frozenset({"claiming", "discard", "fanning_out", "reaching", "registering"}),
    "sources": frozenset({"mongodb"}),
    "testing": frozenset[str](),
}
"""By package of ours, its modules that are needed, where that are not all or hardly any."""


@pytest.fixture(scope="module")
def loaded(mongo: MongoService, tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules that one has loaded by the end of a life in which it was looked at."""
    name = f"loaded{uuid.uuid4().hex[:10]}"
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"database": f"{name}_state"},
        "log": {"format": "json"},
        "sinks": {"nothing": {"type": "discard"}},
        "subscriptions": {"orders": {"source": {"database": name}, "routes": ["nothing"]}},
    }
    directory, command = tmp_path_factory.mktemp("loaded"), (sys.executable, "-c", _TELLING)
    with client_of(mongo.uri) as client, DaemonProcess(directory, config, command=command) as daemon:
        daemon.start()
        assert daemon.get("/metrics")[0] == 200
        assert daemon.terminate() == 0
        (told,) = daemon.events("loaded")
        client.drop_database(f"{name}_state")
    return frozenset(told["modules"])


def test_no_library_is_loaded_that_is_not_used(loaded: frozenset[str]) -> None:
    """Among them are cryptography and rich, which pymongo and structlog load wherever they are installed."""
    top = {name.partition(".")[0] for name in loaded}
    foreign = {name for name in top - {"eventbus", "__main__"} if not _is_of_python(name)}
    assert foreign - LIBRARIES == set()
    assert "sqlite3" not in top


def test_no_part_is_loaded_that_only_others_need(loaded: frozenset[str]) -> None:
    """Such as commands that people type, examinations, and sinks that nothing is sent to."""
    parts = [name.split(".")[1:3] for name in loaded if name.startswith("eventbus.")]
    too_much = {
        ".".join(part) for part in parts if len(part) == 2 and part[1] not in PARTLY.get(part[0], {part[1]})
    }
    assert too_much == set()
    assert not any(name.startswith("eventbus.state.sqlite") for name in loaded)


_BESIDE_PYTHON: Final = ("__editable__", "_cython", "_distutils", "_sysconfigdata", "cython_runtime")
"""How what an installation has besides, and what compiled modules share, is called at the beginning."""


def _is_of_python(name: str) -> bool:
    return name in sys.stdlib_module_names or name.startswith(_BESIDE_PYTHON)
