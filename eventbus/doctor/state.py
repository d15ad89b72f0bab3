"""Checks the state store: does it let us in, can it be written to, and how full is it of dead letters."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from typing import Any, Final

import anyio.to_thread
import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from eventbus.config import Config, SQLiteState
from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, Verdict, well
from eventbus.doctor.privileges import rights_of, state_privileges
from eventbus.errors import ConfigurationError
from eventbus.servers import open_client
from eventbus.sources.mongodb.errors import failure_of
from eventbus.state.mongodb_errors import errors_mapped
from eventbus.state.store import LetterQuery, Store, WhenFull

__all__ = ["check_state", "letters", "written_to_file", "written_to_mongodb"]

_COLLECTION: Final = "doctor"
_WRITE_SECS: Final = 4.0
_NEAR: Final = 0.8


async def check_state(config: Config) -> None:
    """Ask whether the state can be kept where it is to be. In MongoDB nothing is made, and nothing written.

    Raises:
        ConfigurationError: It cannot.
        Unreachable: The server does not answer.
    """
    state = config.state
    if isinstance(state, SQLiteState):
        finding = await written_to_file(state)
    else:
        with errors_mapped():
            async with open_client(state.access, "doctor", 1) as client:
                finding = state_privileges(config, await rights_of(client))
    if finding.verdict is Verdict.FAIL:
        raise ConfigurationError(f"state: {finding.text}: see eventbus doctor")


async def written_to_mongodb(client: AsyncMongoClient[Any], database: str) -> Finding:
    """Write a document to the state's database as the store does, and leave nothing of it if we may."""
    collection = client[database].get_collection(_COLLECTION, write_concern=WriteConcern("majority", j=True))
    mark = {"_id": uuid.uuid4().hex}
    try:
        with pymongo.timeout(_WRITE_SECS):
            await collection.insert_one(mark)
            await collection.delete_one(mark)
            with contextlib.suppress(OperationFailure):  # a right that nothing else needs
                await collection.drop()
    except PyMongoError as error:
        return found("state.not_writable", failure_of(error).reason, about=database)
    return well("state", f"database {database} takes writes, by majority")


async def written_to_file(state: SQLiteState) -> Finding:
    """Write beside the file; the file itself may be a daemon's."""
    folder = state.path.absolute().parent

    def write() -> None:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{state.path.name}."):
            pass

    try:
        await anyio.to_thread.run_sync(write)
    except OSError as error:
        return found("state.not_writable", f"{folder}: {error.strerror}", about=str(state.path))
    if not state.path.exists():
        return well("state", f"{state.path} is made when a daemon first runs")
    return well("state", f"the folder of {state.path} takes writes")


async def letters(config: Config, store: Store) -> Finding:
    """How many dead letters there are of those that may be.

    Raises:
        Unreachable: The store does not answer.
    """
    count = (await store.count_letters(LetterQuery())).letters
    most = config.dead_letters.max_letters
    if most is None:
        return well("dead_letters", f"{count}, and no limit")
    text = f"{count} of at most {most}"
    if count >= most:
        stops = WhenFull(config.dead_letters.when_full) is WhenFull.STOP
        return found("dead_letters.full", f"{text}: {'routes wait' if stops else 'the oldest are lost'}")
    if count >= _NEAR * most:
        return found("dead_letters.near_limit", text)
    return well("dead_letters", text)
