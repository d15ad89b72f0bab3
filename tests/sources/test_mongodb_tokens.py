"""Resume tokens: what is read in them, against a real server's own words."""

from __future__ import annotations

import bson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, PositionKind
from eventbus.sdk import SourceContext
from eventbus.sources.mongodb.options import MongoOptions
from eventbus.sources.mongodb.source import MongoSource
from eventbus.sources.mongodb.tokens import (
    cluster_time_of,
    high_water_mark,
    is_high_water_mark,
    next_read,
    place_in_transaction,
    position_of,
    resume_token,
    server_token,
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
    ("rest", "place"),
    [
        ("2B022C0100296E5A1004", 0),
        ("2B022C01002B066E5A1004", 3),
        ("2B042C01002B046E5A1004", 2),
        ("2B042C01002C01906E5A1004", 200),
        ("2B0229296E04", None),
        ("2B062C0100296E5A1004", None),
    ],
)
def test_the_place_in_a_transaction(rest: str, place: int | None) -> None:
    """In tokens of both versions, as both servers sent them; other tokens tell none."""
    assert place_in_transaction("826B07274D00000013" + rest) == place


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


@given(st.builds(ClusterTime, NUMBER, NUMBER), st.integers(1, 3000))
def test_places_of_documents(time: ClusterTime, count: int) -> None:
    """They follow one another behind their token, before every later one, and hold its cluster time."""
    mark = high_water_mark(time).token
    places = [mark]
    for _ in range(min(count, 12)):
        places.append(next_read(places[-1]))
    many = f"{mark}/{count:012d}"
    assert places == sorted(set(places))
    assert places[-1] <= max(many, places[-1]) < next_read(max(many, places[-1])) < mark + "00"
    assert max(many, places[-1]) < mark[:18] + "2B022C0100"
    assert {server_token(one) for one in (*places, many)} == {mark}
    assert {cluster_time_of(one) for one in (*places, many)} == {time}


def _source() -> MongoSource:
    """One that has never talked to a server."""
    options = MongoOptions.model_validate({"database": "shop"})
    return MongoSource(options, SourceContext(subscription="orders", client=None, own_database=None))


def test_a_moment_becomes_a_position() -> None:
    """Just before all that was committed then, so that a reader from it sees that, too."""
    assert _source().at(ClusterTime(5, 1)) == high_water_mark(ClusterTime(5, 1))


@pytest.mark.parametrize("behind", ["", "/000000000012"])
@pytest.mark.parametrize("written", ["826B013FDD000000062B022C0100", "826b013fdd000000062b022c0100"])
def test_a_token_becomes_a_position(written: str, behind: str) -> None:
    """However its digits were copied: the order of positions is that of capitals."""
    position = _source().position(written + behind)
    assert position.token == "826B013FDD000000062B022C0100" + behind
    assert position.cluster_time == ClusterTime(0x6B013FDD, 6)


@pytest.mark.parametrize(
    "written", ["", "82", "yesterday", "91" + "0" * 30, "826B013FDD000000062B022C0100/1"]
)
def test_a_token_that_is_none_is_refused(written: str) -> None:
    """With what was written, and what it should look like."""
    with pytest.raises(ConfigurationError, match="is no resume token of MongoDB: those are hexadecimal"):
        _source().position(written)


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
                assert not is_high_water_mark(change["_id"]["_data"])
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
