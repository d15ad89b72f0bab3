"""A configuration that is examined, and what is found."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import orjson
from pymongo import MongoClient

from eventbus.config import Config, load
from eventbus.doctor.examination import Examination
from eventbus.doctor.findings import Finding, Verdict
from eventbus.registry import Registry

__all__ = ["Patient", "Problems", "typed"]

Problems = dict[str, Finding]
"""What is not well, by code; of several of one code the last."""

_CONFIG = """\
mongodb: {uri: "%(uri)s"%(mongodb)s}
state: %(state)s
%(rest)s
sinks:
  feed: %(sink)s
subscriptions:
  orders:
    source: {%(place)s%(source)s}
    routes: [feed]
%(subscriptions)s"""


class Patient:
    """One configuration.

    Args:
        directory: Where its files are.
        uri: Where the changes are read.
        database: Whose changes.
    """

    def __init__(self, directory: Path, uri: str, database: str = "shop") -> None:
        self.directory = directory
        self.parts = {
            "uri": uri,
            "mongodb": "",
            "state": f"{{type: sqlite, path: {directory}/state.db}}",
            "rest": "",
            "sink": f"{{type: file, path: {directory}/feed.jsonl}}",
            "place": f"database: {database}, ",
            "source": "collections: [orders]",
            "subscriptions": "",
        }

    def config(self) -> Config:
        """The configuration."""
        path = self.directory / "eventbus.yaml"
        path.write_text(_CONFIG % self.parts)
        return load([path], Registry.from_entry_points(), {})

    def findings(self, *, write: bool = False, now: Callable[[], float] = time.time) -> Sequence[Finding]:
        """All that is found."""
        config = self.config()

        async def examined() -> list[Finding]:
            names = list(config.subscriptions)
            examination = Examination(config, names, write=write, sender="a test", now=now)
            return [finding async for finding in examination.findings()]

        return anyio.run(examined)

    def problems(self, *, write: bool = False, now: Callable[[], float] = time.time) -> Problems:
        """What is not well."""
        found = self.findings(write=write, now=now)
        return {finding.code: finding for finding in found if finding.verdict is not Verdict.OK}


def typed(client: MongoClient[dict[str, Any]], mend: str) -> None:
    """Do what an administrator does who types a mend into mongosh."""
    for statement in re.findall(r'db\.getSiblingDB\((".*?")\)\.(\w+)\((.*?)\)(?=; |$)', mend):
        database, method, written = statement
        arguments = orjson.loads(f"[{written}]")
        target = client[orjson.loads(database)]
        match method, arguments:
            case "runCommand", [body]:
                target.command(body)
            case "createRole", [role]:
                target.command({"createRole": role.pop("role"), **role})
            case "grantRolesToUser", [user, roles]:
                target.command({"grantRolesToUser": user, "roles": roles})
            case "grantPrivilegesToRole", [role, privileges]:
                target.command({"grantPrivilegesToRole": role, "privileges": privileges})
            case _:
                raise AssertionError(f"nobody can type {method}")
