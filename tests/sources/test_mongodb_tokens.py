"""Resume tokens: what is read in them, against a real server's own words."""

from __future__ import annotations

import bson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.model import ClusterTime, PositionKind
from eventbus.sources.mongodb.tokens import (
    cluster_time_of,
    high_water_mark,
    position_of,
    resume_token,
    timestamp_of,
)
from tests.sources.watching import Document

NUMBER = st.integers(0, 2**32 - 1)


@given(st.builds(ClusterTime, NUMBER, NUMBER), st.builds(ClusterTime, NUMBER, NUMBER))
def test_made_positions_order_by_their_cluster_time(one: ClusterTime, other: ClusterTime) -> None:
    """The text of the tokens that we make compares as their cluster times do, and holds them."""
    a, b = high_water_mark(one), high_water_mark(other)
    assert (a.token < b.token) == (one < other)
    assert cluster_time_of(a.token) == one
    assert timestamp_of(one) == Timestamp(*one)


@pytest.mark.parametrize(
    "text", ["", "82", "zz", "8200000001", "91" + "0" * 30, "82" + "0" * 17, "82" + "g" * 30]
)
def test_what_is_no_token(text: str) -> None:
    """Text of another form is refused, never read as a time."""
    with pytest.raises(ValueError, match="not a resume token"):
        cluster_time_of(text)


@pytest.mark.parametrize("bits", [None, b"\x82\xc0\x1e"])
def test_there_and_back(bits: bytes | None) -> None:
    """A token goes back to the server with all its parts."""
    token: Document = {"_data": "826B013FDD000000062B022C0100"} | ({"_typeBits": bits} if bits else {})
    position = position_of(bson.encode(token), PositionKind.EVENT)
    assert position.cluster_time == ClusterTime(0x6B013FDD, 6)
    assert bson.encode(resume_token(position)) == bson.encode(token)


@pytest.mark.services
def test_against_the_server(either_mongo: MongoService, fresh_database: str) -> None:
    """The cluster time in a token is that of its change; the position we make for a time is the server's."""
    with MongoClient[Document](either_mongo.uri) as client:
        things = client[fresh_database].things
        with things.watch() as stream:
            for i in range(20):
                things.insert_one({"_id": i + 0.5})
                change = stream.next()
                time = ClusterTime(change["clusterTime"].time, change["clusterTime"].inc)
                assert position_of(bson.encode(change["_id"]), PositionKind.EVENT).cluster_time == time
        opened = client[fresh_database].command(
            {
                "aggregate": "things",
                "pipeline": [{"$changeStream": {"startAtOperationTime": timestamp_of(time)}}],
            }
            | {"cursor": {"batchSize": 0}}
        )
        assert opened["cursor"]["postBatchResumeToken"] == {"_data": high_water_mark(time).token}
        with things.watch(resume_after=resume_token(high_water_mark(time))) as stream:
            assert stream.next()["documentKey"] == {"_id": 19.5}
        client.drop_database(fresh_database)
