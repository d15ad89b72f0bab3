"""Claims in GridFS: whole or not there, read back by the driver's own GridFS, kept for their time."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import gridfs
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Claim
from eventbus.state.mongodb_claims import MongoClaims

pytestmark = [pytest.mark.anyio, pytest.mark.services]

CONTENT = bytes(range(256)) * 2600  # two pieces and a part of one
CLAIM = Claim("claims", "0d9e-77", CONTENT, "application/json", 3600.0)


@pytest.fixture
async def claims(mongo: MongoService, fresh_database: str, anyio_backend: str) -> AsyncIterator[MongoClaims]:
    claims = MongoClaims(mongo.uri, database=fresh_database, instance="a")
    await claims.open()
    yield claims
    await claims.close()


@pytest.fixture
def database(mongo: MongoService, fresh_database: str) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](mongo.uri, tz_aware=True) as client:
        yield client[fresh_database]


async def test_content_comes_back_by_any_driver(claims: MongoClaims, database: Any) -> None:
    """With its length, media type and hash; storing it again changes nothing but its time."""
    await claims.put(CLAIM)
    before = list(database["claims.chunks"].find({}, {"_id": 1, "data": 1}))
    await claims.put(Claim(**{**_fields(CLAIM), "keep_secs": 7200.0}))
    read = gridfs.GridFS(database, "claims").get(CLAIM.id)
    assert read.read() == CONTENT
    assert read.metadata == {
        "contentType": "application/json",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert list(database["claims.chunks"].find({}, {"_id": 1, "data": 1})) == before
    (kept,) = database["claims.files"].find()
    assert kept["expires_at"] > datetime.now(UTC) + timedelta(seconds=7000)
    await claims.put(CLAIM)
    assert database["claims.files"].find_one()["expires_at"] == kept["expires_at"], "never for less"


def _fields(claim: Claim) -> dict[str, Any]:
    return {name: getattr(claim, name) for name in Claim.__slots__}


async def test_several_at_once_and_what_was_broken_off(claims: MongoClaims, database: Any) -> None:
    """Two who store the same do not get in each other's way; what has lost its pieces is written anew."""
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(claims.put, CLAIM)
    assert database["claims.chunks"].count_documents({}) == 3
    database["claims.chunks"].delete_one({"n": 1})
    await claims.put(CLAIM)
    assert gridfs.GridFS(database, "claims").get(CLAIM.id).read() == CONTENT
    database["claims.files"].delete_many({})
    await claims.put(CLAIM)
    assert gridfs.GridFS(database, "claims").get(CLAIM.id).read() == CONTENT


async def test_the_server_is_told_when_each_part_expires(claims: MongoClaims, database: Any) -> None:
    """By TTL indexes, which it looks to once a minute; no piece goes before its file."""
    await claims.put(CLAIM)
    for name in ("claims.files", "claims.chunks"):
        expiry = database[name].index_information()["expires_at_1"]
        assert expiry["expireAfterSeconds"] == 0
    file = database["claims.files"].find_one()
    assert file["expires_at"] - file["uploadDate"] < timedelta(seconds=3601)
    assert all(piece["expires_at"] > file["expires_at"] for piece in database["claims.chunks"].find())


async def test_a_server_that_is_away_is_unreachable() -> None:
    """And a wrong address is the operator's business."""
    with pytest.raises(Unreachable):
        await MongoClaims(
            "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", database="d", instance="a"
        ).open()
    with pytest.raises(ConfigurationError):
        await MongoClaims("mongodb://", database="d", instance="a").open()
