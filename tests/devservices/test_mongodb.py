"""A real mongod in each of its shapes: one member, three, standalone, with users, older."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from eventbus.devservices import MongoService, NotOurs

pytestmark = pytest.mark.services


@contextmanager
def connect(uri: str, timeout_ms: int = 10_000) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](
        uri, serverSelectionTimeoutMS=timeout_ms, socketTimeoutMS=timeout_ms
    ) as client:
        yield client


@pytest.fixture(scope="module")
def service() -> Iterator[MongoService]:
    with MongoService.start(own=True) as service:
        yield service


def test_it_is_a_replica_set_with_change_streams_and_fail_points(service: MongoService) -> None:
    """An ordinary client finds the primary by the uri alone."""
    with connect(service.uri) as client:
        hello = client.admin.command("hello")
        assert (hello["setName"], hello["isWritablePrimary"]) == ("rs0", True)
        with client.shop.orders.watch(max_await_time_ms=50) as stream:
            client.shop.orders.insert_one({"_id": 1})
            assert stream.next()["documentKey"] == {"_id": 1}
        point = {"configureFailPoint": "failCommand", "mode": "off"}
        assert client.admin.command(point)["ok"] == 1
        options = client.admin.command("getCmdLineOpts")["parsed"]
    assert options["net"]["bindIp"] == "127.0.0.1"
    assert options["replication"]["oplogSizeMB"] == 64
    assert service.version == "6.0.27"
    assert service.data_dir.is_dir()
    assert service.ports == (service.port,)


def test_data_survives_a_restart_and_a_kill(service: MongoService) -> None:
    """What was acknowledged by the majority is there when the set has its primary again."""
    with connect(service.uri) as client:
        client.shop.kept.insert_one({"_id": 1})
        service.restart()
        client.shop.kept.insert_one({"_id": 2})
        service.kill()
        with connect(service.uri, timeout_ms=200) as late, pytest.raises(ServerSelectionTimeoutError):
            late.shop.kept.find_one()
        service.restart()
        assert [found["_id"] for found in client.shop.kept.find().sort("_id")] == [1, 2]


def test_a_paused_server_does_not_answer_until_it_is_resumed(service: MongoService) -> None:
    """Timeouts can be tested without a proxy."""
    with connect(service.uri, timeout_ms=300) as client:
        client.admin.command("ping")
        service.pause()
        with pytest.raises(AutoReconnect):
            client.admin.command("ping")
        service.resume()
    with connect(service.uri) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_a_standalone_has_no_change_streams() -> None:
    """The error a user gets who forgot to make a replica set."""
    with MongoService.start(replica_set=False) as service, connect(service.uri) as client:
        client.shop.orders.insert_one({"_id": 1})
        with pytest.raises(OperationFailure, match="only supported on replica sets") as caught:
            client.shop.orders.watch()
    assert caught.value.code == 40573


def test_with_users_access_needs_the_password() -> None:
    """Wrong and missing credentials fail as on a production server, and still do after a restart."""
    with MongoService.start(auth=("ro:ot", "p@ss/word")) as service:
        service.restart()
        with connect(service.uri) as client:
            client.shop.orders.insert_one({"_id": 1})
        bare = f"mongodb://127.0.0.1:{service.port}/?replicaSet=rs0"
        with connect(bare) as client, pytest.raises(OperationFailure, match="requires authentication"):
            client.shop.orders.find_one()
        with (
            connect(service.uri.replace("p%40ss", "guess")) as client,
            pytest.raises(OperationFailure, match="Authentication failed"),
        ):
            client.shop.orders.find_one()


def test_three_members_elect_another_primary_when_theirs_is_killed() -> None:
    """A majority write made before is there after, and the killed member comes back as a follower."""
    with MongoService.start(members=3) as service, connect(service.uri, timeout_ms=20_000) as client:
        assert len(set(service.pids)) == 3
        client.shop.orders.with_options(write_concern=None).insert_one({"_id": 1})
        killed = service.kill_primary()
        assert service.wait_for_primary() != killed
        client.shop.orders.insert_one({"_id": 2})
        service.restart_member(killed)
        assert service.running
        assert client.shop.orders.count_documents({}) == 2


def test_the_older_version_and_further_arguments() -> None:
    """6.0.5 is had by asking for it."""
    with MongoService.start(version="6.0.5", oplog_mb=128, extra_args=("--syncdelay", "1")) as service:
        with connect(service.uri) as client:
            options = client.admin.command("getCmdLineOpts")["parsed"]
        assert service.version == "6.0.5"
    assert (options["storage"]["syncPeriodSecs"], options["replication"]["oplogSizeMB"]) == (1, 128)


def test_a_server_that_somebody_else_runs_is_used_only_where_it_fits(
    service: MongoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MONGODB_URI stands for the plain shape; the others need servers of our own."""
    monkeypatch.setenv("MONGODB_URI", service.uri)
    with MongoService.start() as theirs:
        found = (theirs.uri, theirs.port, theirs.version)
        assert found == (service.uri, service.port, service.version)
        for forbidden in (theirs.kill, theirs.pause, theirs.restart, theirs.kill_primary):
            with pytest.raises(NotOurs, match="MONGODB_URI names"):
                forbidden()
        with pytest.raises(NotOurs):
            _ = theirs.data_dir
    assert service.running
    with MongoService.start(replica_set=False) as ours:
        assert not ours.external
