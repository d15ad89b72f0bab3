"""Claims in GridFS: content that was too large for a message, where every driver can read it.

Pieces are written before the file's document, so a file that is there is whole; and each has the time when it
expires, which a TTL index of the server looks to. https://github.com/mongodb/specifications/blob/master/source/gridfs
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.binary import Binary
from pymongo import IndexModel, ReplaceOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from eventbus.model import Claim
from eventbus.state.mongodb_connection import MongoConnection, MongoDocument, bounded
from eventbus.state.mongodb_errors import only_duplicates

__all__ = ["MongoClaims"]

_PIECE_BYTES: Final = 255 * 1024
_PIECES_LAST_LONGER_SECS: Final = 3600.0
"""The server looks for what has expired once a minute, collection by collection."""
_EXPIRY: Final = IndexModel([("expires_at", 1)], expireAfterSeconds=0)


class MongoClaims(MongoConnection):
    """Buckets in a database of a MongoDB replica set, with a client of their own."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: No primary answers now; try again.
            ConfigurationError: The URI, the user or its rights are wrong.
        """
        self._prepared: set[str] = set()
        await self.connect([])

    async def put(self, claim: Claim) -> None:
        """Store content, or keep it for longer if it is there already.

        Raises:
            Unreachable: It is not known whether it is there; try again.
        """
        if claim.bucket not in self._prepared:
            await self._prepare(claim.bucket)
            self._prepared.add(claim.bucket)
        expires_at = datetime.now(UTC) + timedelta(seconds=claim.keep_secs)
        if not await self._prolonged(claim, expires_at):
            await self._write(claim, expires_at)

    async def _prolonged(self, claim: Claim, expires_at: datetime) -> bool:
        """Whether the whole content is there and will be; pieces first, since a file without is none."""
        files, pieces = self._collections(claim.bucket)
        lasting = expires_at + timedelta(seconds=_PIECES_LAST_LONGER_SECS)
        with bounded():
            kept = await pieces.update_many({"files_id": claim.id}, {"$max": {"expires_at": lasting}})
            if kept.matched_count != _piece_count(claim):
                return False
            found = await files.update_one({"_id": claim.id}, {"$max": {"expires_at": expires_at}})
        return bool(found.matched_count)

    async def _write(self, claim: Claim, expires_at: datetime) -> None:
        files, pieces = self._collections(claim.bucket)
        lasting = expires_at + timedelta(seconds=_PIECES_LAST_LONGER_SECS)
        with bounded():
            await _written(
                pieces,
                [
                    ReplaceOne({"files_id": claim.id, "n": n}, _piece(claim, n, data, lasting), upsert=True)
                    for n, data in enumerate(_pieces(claim))
                ],
            )
            change = {"$setOnInsert": _file(claim), "$max": {"expires_at": expires_at}}
            await _written(files, [UpdateOne({"_id": claim.id}, change, upsert=True)])

    async def _prepare(self, bucket: str) -> None:
        files, pieces = self._collections(bucket)
        with bounded():
            await pieces.create_indexes([IndexModel([("files_id", 1), ("n", 1)], unique=True), _EXPIRY])
            await files.create_indexes([IndexModel([("filename", 1), ("uploadDate", 1)]), _EXPIRY])

    def _collections(self, bucket: str) -> tuple[Any, Any]:
        database: AsyncDatabase[MongoDocument] = self._database
        return database[f"{bucket}.files"], database[f"{bucket}.chunks"]


async def _written(collection: Any, writes: Sequence[Any]) -> None:
    """Write, whoever else writes the very same at the moment."""
    try:
        await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        if not only_duplicates(error):
            raise


def _pieces(claim: Claim) -> Iterator[bytes]:
    for start in range(0, len(claim.content), _PIECE_BYTES):
        yield claim.content[start : start + _PIECE_BYTES]


def _piece_count(claim: Claim) -> int:
    return -(-len(claim.content) // _PIECE_BYTES)


def _piece(claim: Claim, n: int, data: bytes, expires_at: datetime) -> MongoDocument:
    return {"files_id": claim.id, "n": n, "data": Binary(data), "expires_at": expires_at}


def _file(claim: Claim) -> MongoDocument:
    return {
        "length": len(claim.content),
        "chunkSize": _PIECE_BYTES,
        "uploadDate": datetime.now(UTC),
        "filename": claim.id,
        "metadata": {
            "contentType": claim.content_type,
            "sha256": hashlib.sha256(claim.content).hexdigest(),
        },
    }
