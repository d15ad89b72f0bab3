"""The documents of one round of a snapshot as events, each saying how far the snapshot has come with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from eventbus.canonical import canonical_json
from eventbus.model import Event, Operation, Position, Snapshot
from eventbus.sources.mongodb.change import key_of, names_in, section
from eventbus.sources.mongodb.classify import Classified
from eventbus.sources.mongodb.documents import Chunk
from eventbus.sources.mongodb.elements import elements, int32
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.tokens import next_read

__all__ = ["Reads", "read_id"]


class Reads:
    """What was read at one place of a stream, in order.

    Args:
        place: The position that the documents lie behind.
        snapshot: How far the snapshot has come before them.
    """

    def __init__(self, place: Position, snapshot: Snapshot) -> None:
        self.events: list[Event] = []
        self._classified = Classified()
        self.snapshot = snapshot
        """How far the snapshot has come behind them."""
        self.size = 0
        """Bytes of the documents."""
        self.chunks = 0
        """In how many chunks they came."""
        self._place = place
        self._token = place.token

    def begin(self, namespaces: Sequence[str]) -> bool:
        """Go to where the next documents are.

        Args:
            namespaces: The collections that there are to read, in order; those behind are left out.

        Returns:
            Whether there are any; otherwise the snapshot is finished.
        """
        now = self.snapshot
        namespace = next((name for name in namespaces if name >= now.collection), None)
        if namespace is None:
            self.snapshot = replace(now, is_finished=True)
        elif namespace != now.collection:
            self.snapshot = replace(now, collection=namespace, after=None)
        return namespace is not None

    def end_collection(self, namespaces: Sequence[str]) -> bool:
        """Nothing is left in this collection: go to the next one, as `begin` does."""
        return self.begin([name for name in namespaces if name > self.snapshot.collection])

    def add(self, chunk: Chunk, reply: Reply) -> bool:
        """Take in the documents of a range, which must be the next one.

        Returns:
            Whether that is all of the range: a reply holds no more than 16 MB.

        Raises:
            ConfigurationError: The stages of ``source.pipeline`` took away what no event can be without.
        """
        self.chunks += 1
        before = self.snapshot.read
        for number, start in enumerate(reply.starts(), 1):
            self._add_document(chunk.namespace, reply.buffer, start, before + number)
        if reply.cursor_id:
            return False
        self.snapshot = replace(self.snapshot, after=chunk.last, read=before + chunk.count)
        return True

    def _add_document(self, namespace: str, buffer: bytes, start: int, number: int) -> None:
        fields, now, place = elements(buffer, start), self.snapshot, self._place
        size: int = int32(buffer, start)[0]
        key = key_of(fields)
        self._token = next_read(self._token)
        self.snapshot = Snapshot(now.id, now.scope, namespace, key, number, now.total)
        self.size += size
        database, _, collection = namespace.partition(".")
        assert place.cluster_time is not None
        self.events.append(
            Event(
                token=self._token,
                extra=place.extra,
                kind=place.kind,
                operation=Operation.READ,
                database=database,
                collection=collection,
                cluster_time=place.cluster_time,
                time_ms=place.cluster_time.seconds * 1000,
                document_key=key,
                document=section(fields, b"fullDocument"),
                size=size,
                id=read_id(now.id, namespace, key),
                snapshot=self.snapshot,
                attributes=names_in(fields, self._classified),
            )
        )


def read_id(snapshot_id: str, namespace: str, key: bytes) -> str:
    """The id of the event that a snapshot makes of a document: the same whenever and wherever it is read."""
    text = b"%b\0%b\0%b" % (snapshot_id.encode(), namespace.encode(), canonical_json(key))
    return blake2b(text, digest_size=16).hexdigest()
