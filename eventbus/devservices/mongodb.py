"""A real mongod: one member of a replica set, several, or a standalone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from eventbus.devservices._fetch_mongod import fetch_mongod
from eventbus.devservices._finding import Address, Finders, Image, Ours, Program, find, find_ours
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import finders, launch
from eventbus.devservices._mongo_admin import MongoAdmin, server_version
from eventbus.devservices._ports import on_a_free_port
from eventbus.devservices._server import Server
from eventbus.devservices._service import Service

DEFAULT_VERSION: Final = "6.0.27"
VARIABLE: Final = "MONGODB_URI"
_REMEDY = "install MongoDB 6.0 or newer so that mongod is on PATH, or set MONGODB_URI to a replica set"
_READY = '"Waiting for connections"'
_SET: Final = "rs0"


class MongoService(Service):
    """A running MongoDB; a replica set has a writable primary by the time you hold it."""

    def __init__(self, uri: str, members: Sequence[_Member], admin: MongoAdmin) -> None:
        """Take over what `start` has found or started."""
        super().__init__([member.server for member in members], variable=VARIABLE)
        self.uri = uri
        self.ports = admin.ports
        self.version = server_version(uri)
        self._admin = admin

    @classmethod
    def start(
        cls,
        *,
        version: str = DEFAULT_VERSION,
        members: int = 1,
        oplog_mb: int = 64,
        replica_set: bool = True,
        auth: tuple[str, str] | None = None,
        election_timeout_ms: int = 1500,
        extra_args: Sequence[str] = (),
        own: bool = False,
    ) -> Self:
        """Find or fetch mongod and run it.

        The address in MONGODB_URI is used only where it can be what is asked for: one member of a replica
        set of the default version, without arguments of its own.

        Args:
            version: 6.0.27, or 6.0.5 for what differs. A mongod on PATH stands for the default version if it
                is 6.0 or newer, and for another one only if it is that one.
            members: how many members the replica set has.
            oplog_mb: the size of each member's oplog, in megabytes.
            replica_set: False gives a standalone, which has no change streams.
            auth: a root user's name and password; access needs them then.
            election_timeout_ms: how long a set of several members waits before it replaces its primary.
            extra_args: further arguments of every mongod.
            own: never use the one that MONGODB_URI names: for a test that kills it.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start, or got no primary in time.
        """
        assert members == 1 or replica_set, "a standalone has one member"
        options = _Options(oplog_mb, replica_set, auth, tuple(extra_args))
        plain = not own and version == DEFAULT_VERSION and members == 1 and options.plain
        look = find if plain else find_ours
        found = look(mongo_finders(version), server=f"mongod {version}", remedy=_REMEDY)
        if isinstance(found, Address):
            return cls(found.url, (), MongoAdmin.outside(found.url))
        started: list[_Member] = []
        try:
            for _ in range(members):
                started += [on_a_free_port(lambda port: _start(found, port, options))]
            admin = MongoAdmin(
                [m.port for m in started], replica_set=_SET if replica_set else None, auth=auth
            )
            admin.set_up(election_timeout_ms)
            return cls(admin.uri(), started, admin)
        except BaseException:
            for member in started:
                member.server.close()
            raise

    @property
    def port(self) -> int:
        """The port of the (first) member."""
        return self.ports[0]

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of all members, in the order of `ports`."""
        return tuple(server.pid for server in self._servers)

    def primary(self) -> int:
        """Return the index of the member that is primary now.

        Raises:
            LookupError: none is.
        """
        return self._admin.primary()

    def kill_primary(self) -> int:
        """SIGKILL the primary and return its index; the others elect another after the election timeout."""
        index = self.primary()
        self.kill_member(index)
        return index

    def kill_member(self, index: int) -> None:
        """SIGKILL one member."""
        self._servers[index].kill()

    def restart_member(self, index: int) -> None:
        """Start one member again, after a clean end if it runs still, and wait until the set is whole."""
        server = self._servers[index]
        server.terminate()
        server.start()
        self.wait_for_primary()

    def wait_for_primary(self) -> int:
        """Wait until the members that are running have a primary, and return its index."""
        self._wait_until_usable()
        return self.primary()

    def _wait_until_usable(self) -> None:
        self._admin.wait_until_usable([i for i, server in enumerate(self._servers) if server.running])


@dataclass(frozen=True, slots=True)
class _Options:
    oplog_mb: int
    replica_set: bool
    auth: tuple[str, str] | None
    extra_args: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether a server that somebody else runs can be expected to fit."""
        return self.replica_set and self.auth is None and not self.extra_args


@dataclass(frozen=True, slots=True)
class _Member:
    server: Server
    port: int


def mongo_finders(version: str = DEFAULT_VERSION) -> Finders:
    """Return the places to look for mongod."""
    return finders(
        variable=VARIABLE,
        image=Image(f"mongo:{version}", ("mongod",)),
        path=lambda: _on_path(version),
        fetch=lambda: fetch_mongod(version),
    )


def _on_path(version: str) -> Program | None:
    program = shutil.which("mongod")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603  found on PATH
    match = re.search(r"db version v((\d+)\.[\d.]+)", said.stdout)
    if match is None:
        return None
    fits = int(match[2]) >= 6 if version == DEFAULT_VERSION else match[1] == version
    return Program((program,)) if fits else None


def _start(found: Ours, port: int, options: _Options) -> _Member:
    directory = KeptDirectory("mongodb")
    arguments = _arguments(port, directory, options)
    return _Member(launch(directory, found, arguments, ready=_READY), port)


def _arguments(port: int, directory: KeptDirectory, options: _Options) -> list[str]:
    arguments = [
        *("--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(directory.data), "--nounixsocket"),
        *("--wiredTigerCacheSizeGB", "0.25"),
        *("--setParameter", "enableTestCommands=1"),  # gives the fail points
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # spares two small cores
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
    ]
    if options.replica_set:
        arguments += ["--replSet", _SET, "--oplogSize", str(options.oplog_mb)]
    if options.auth:
        arguments += ["--keyFile", str(_key_file(directory))] if options.replica_set else ["--auth"]
    return [*arguments, *options.extra_args]


def _key_file(directory: KeptDirectory) -> Path:
    """Write the members' shared secret; mongod wants one before it lets a replica set have users."""
    file = directory.path / "key"
    file.write_text("ZXZlbnRidXMgZGV2ZWxvcG1lbnQ=")  # guards nothing: loopback, test data, gone at the end
    file.chmod(0o600)
    return file
