"""The clients: who they are, which member they ask, what they tell of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from pymongo import MongoClient
from pymongo.errors import PyMongoError, WaitQueueTimeoutError
from pymongo.server_description import ServerDescription
from pymongo.write_concern import WriteConcern
from structlog.testing import capture_logs

from eventbus.config import Config, load
from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError, EventbusError, Unreachable
from eventbus.model import Slot
from eventbus.registry import Registry
from eventbus.servers import check_sources, open_store, open_stream_client
from eventbus.sources.mongodb.client import stream_client
from eventbus.sources.mongodb.heartbeat import keep_beating
from eventbus.sources.mongodb.member import Member
from eventbus.telemetry import metrics
from tests.sources.certificates import CLIENT_SUBJECT, Certificates
from tests.sources.faults import failing, open_cursors
from tests.sources.proxy import Proxy
from tests.sources.watching import HANG_SECS, Client, Document, Watch, ids

pytestmark = pytest.mark.anyio

services = pytest.mark.services

USER, PASSWORD = "root", "p@ss:w/rd%"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_mongo(certificates: Certificates) -> Iterator[MongoService]:
    """A replica set that wants a password or a certificate, and speaks TLS with whoever wants to."""
    arguments = [
        *("--tlsMode", "preferTLS", "--tlsCertificateKeyFile", str(certificates.server)),
        *("--tlsCAFile", str(certificates.ca), "--tlsAllowConnectionsWithoutCertificates"),
    ]
    with MongoService.start(auth=(USER, PASSWORD), extra_args=arguments, own=True) as service:
        with MongoClient[Document](service.uri) as client:
            client["$external"].command("createUser", CLIENT_SUBJECT, roles=[{"role": "root", "db": "admin"}])
        yield service


@pytest.fixture
def configured(tmp_path: Path, secure_mongo: MongoService) -> Callable[..., Config]:
    """A configuration for the secure server; its URI has no user."""

    def configure(mongodb: Document, **state: Any) -> Config:
        path = tmp_path / "eventbus.yaml"
        whole = {
            "mongodb": {"uri": f"mongodb://127.0.0.1:{secure_mongo.port}/?replicaSet=rs0", **mongodb},
            "state": {"type": "mongodb", **state},
            "sinks": {"lines": {"type": "stdout"}},
            "subscriptions": {"orders": {"source": {"database": "shop"}, "routes": ["lines"]}},
        }
        path.write_text(yaml.safe_dump(whole))
        return load([path], Registry.from_entry_points(), {})

    return configure


async def who(config: Config) -> set[str]:
    """Try all that the daemon tries at its start; as whom it reads and keeps its state."""
    await check_sources(config)
    async with open_store(config) as store:
        await store.positions("orders")
        async with open_stream_client(config) as client:
            names = set()
            pipeline: list[Document] = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
            async for entry in await client.admin.aggregate(pipeline):
                if entry.get("appName") in {"eventbus", "eventbus-state"}:
                    names |= {
                        f"{entry['appName']} {user['user']}" for user in entry.get("effectiveUsers", [])
                    }
    return names


@services
async def test_who_we_are(configured: Callable[..., Config], certificates: Certificates) -> None:
    """By name and password as they are, by certificate, and the state by another way; always over TLS."""
    ca = {"ca_file": str(certificates.ca)}
    named = {"username": USER, "password": PASSWORD, "tls": ca}
    certified = {"tls": {**ca, "certificate_key_file": str(certificates.client), "x509": True}}
    assert await who(configured(named)) == {f"eventbus {USER}", f"eventbus-state {USER}"}
    assert await who(configured(certified)) == {
        f"eventbus {CLIENT_SUBJECT}",
        f"eventbus-state {CLIENT_SUBJECT}",
    }
    both = configured(certified, username=USER, password=PASSWORD)
    assert await who(both) == {f"eventbus {CLIENT_SUBJECT}", f"eventbus-state {USER}"}


@services
async def test_who_is_refused(configured: Callable[..., Config], certificates: Certificates) -> None:
    """Each refusal says what is wrong, and no secret."""
    ca = {"ca_file": str(certificates.ca)}
    for mongodb, error, told in (
        ({"username": USER, "password": "guess", "tls": ca}, ConfigurationError, "Authentication failed"),
        (
            {"username": USER, "password": PASSWORD, "tls": {"ca_file": str(certificates.strange_ca)}},
            Unreachable,
            "certificate verify failed",
        ),
        ({"tls": {**ca, "certificate_key_file": str(certificates.ca)}}, ConfigurationError, "mongodb"),
    ):
        with pytest.raises(EventbusError, match=told) as caught:
            await check_sources(configured(mongodb))
        assert isinstance(caught.value, error)
        assert PASSWORD not in str(caught.value)


@services
async def test_messages_are_compressed(mongo: MongoService) -> None:
    """The server counts what it unpacks."""
    async with stream_client(mongo.uri, {"compressors": "zlib"}, purpose="test", pool_size=2) as client:
        for _ in range(2):
            status = await client.admin.command("serverStatus")
    assert status["network"]["compression"]["zlib"]["decompressor"]["bytesIn"] > 0


async def test_there_are_connections_for_every_reader(configured_alone: Config) -> None:
    """Twice as many as there may be readers, for those that are being closed, and some to spare."""
    async with open_stream_client(configured_alone) as client:
        assert client.options.pool_options.max_pool_size == 2 * (1 + 4) + 2 * (1 + 9) + 10


@pytest.fixture
def configured_alone(tmp_path: Path) -> Config:
    """A configuration with two subscriptions, of 4 and of 9 readers beside the main one."""
    path = tmp_path / "eventbus.yaml"
    subscription = {"source": {"database": "shop"}, "routes": ["lines"]}
    whole = {
        "mongodb": {"uri": "mongodb://127.0.0.1:1"},
        "sinks": {"lines": {"type": "stdout"}},
        "subscriptions": {"a": subscription, "b": {**subscription, "catch_up": {"max_readers": 9}}},
    }
    path.write_text(yaml.safe_dump(whole))
    return load([path], Registry.from_entry_points(), {})


def sample(name: str, client: str, **labels: str) -> float:
    """The value of a metric of a client."""
    found = metrics.REGISTRY.get_sample_value(f"eventbus_mongodb_{name}", {"client": client, **labels})
    return found or 0.0


async def reaches(value: float, name: str, client: str) -> None:
    """Wait until a metric has a value."""
    with anyio.fail_after(HANG_SECS):
        while sample(name, client) != value:  # noqa: ASYNC110 - a metric wakes nobody
            await anyio.sleep(0.01)


@services
async def test_connections_are_told(mongo: MongoService, watch: Watch) -> None:
    """A waiting stream has one to itself; when all are taken that is counted; at the end none is left."""
    settings = {"waitQueueTimeoutMS": 50}
    async with stream_client(mongo.uri, settings, purpose="told", pool_size=2) as client:
        readers = [await watch.reader(client=client) for _ in range(2)]
        async with anyio.create_task_group() as tasks:
            for reading in readers:
                tasks.start_soon(reading.batch)
            await reaches(2, "connections_in_use", "told")
            with pytest.raises(WaitQueueTimeoutError):
                await client.admin.command("ping")
        assert sample("connections_open", "told") == 2
        assert sample("checkouts_failed_total", "told", reason="timeout") == 1
        assert sample("topology_changes_total", "told") > 0
        for reading in readers:
            await reading.reader.close()
    assert (sample("connections_open", "told"), sample("connections_in_use", "told")) == (0, 0)


@services
async def test_servers_that_go_away_are_told(mongo: MongoService) -> None:
    """Their connections are given up, and they do not say how they are."""
    async with Proxy(mongo.port) as network:
        uri = f"mongodb://127.0.0.1:{network.port}/?directConnection=true&heartbeatFrequencyMS=500"
        async with stream_client(uri, {}, purpose="cut", pool_size=2) as client:
            await client.admin.command("ping")
            await network.cut()
            with pytest.raises(PyMongoError):
                await client.admin.command("ping")
            with anyio.fail_after(HANG_SECS):
                while not sample("server_checks_failed_total", "cut"):  # noqa: ASYNC110 - see above
                    await anyio.sleep(0.01)
    assert sample("pools_cleared_total", "cut") > 0


def a_member(port: int, milliseconds: float) -> ServerDescription:
    return ServerDescription(("127.0.0.1", port), round_trip_time=milliseconds / 1000)


def test_one_member_is_asked_for_as_long_as_it_suits() -> None:
    """The nearest is chosen and kept, however near others come; where but one suits nothing is."""
    member = Member()
    near, far, third = a_member(1, 1), a_member(2, 9), a_member(3, 20)
    assert member([far, near, third]) == [near]
    nearer = a_member(2, 0.1)
    assert member([nearer, near, third]) == [near]
    assert member([third]) == [third]
    assert member([]) == []
    assert member([nearer, near]) == [near]
    assert member([far, third]) == [far], "the chosen one is gone"
    assert member([far, near]) == [far]
    assert Member()([ServerDescription(("127.0.0.1", 4)), third]) == [third], "not measured yet"


@services
async def test_a_secondary_is_read(replica_set: MongoService, fresh_database: str) -> None:
    """All commands of a cursor reach the one member that has it; when that is killed another goes on."""
    async with (
        stream_client(replica_set.uri, {}, purpose="far", pool_size=9, read_preference="secondary") as client,
        Client(replica_set.uri) as writer,
        Watch(client, fresh_database) as watch,
    ):
        orders = writer[fresh_database].orders
        await orders.with_options(write_concern=WriteConcern(3)).insert_one({"_id": -1})
        reading = await watch.reader()
        with capture_logs() as logs:
            for key in range(20):
                await orders.insert_one({"_id": key})
                assert ids(await reading.events(1)) == [key]
        assert "stream_interrupted" not in {line["event"] for line in logs}
        (reader,) = await members_with_cursors(replica_set)
        assert reader != replica_set.primary()
        await anyio.to_thread.run_sync(replica_set.kill_member, reader)
        try:
            await orders.insert_many([{"_id": key} for key in range(20, 40)])
            assert ids(await reading.events(20)) == list(range(20, 40))
            (other,) = await members_with_cursors(replica_set, without=reader)
            assert other not in {reader, replica_set.primary()}
        finally:
            await anyio.to_thread.run_sync(replica_set.restart_member, reader)
        await writer.drop_database(fresh_database)


async def members_with_cursors(service: MongoService, *, without: int | None = None) -> list[int]:
    """Which members hold a cursor of ours."""
    found = []
    for index, port in enumerate(service.ports):
        if index != without:
            async with Client(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
                found += [index] * bool(await open_cursors(client))
    return found


@services
async def test_the_heart_beats(client: Client, watch: Watch) -> None:
    """A document of each daemon moves, and is no event; while it cannot, that is said once."""
    own = (watch.name, "heartbeat")
    source = watch.source(own_collection=own)
    reading = source.reader(await source.now())
    beats = watch.database.heartbeat
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            for instance in ("a", "b"):
                tasks.start_soon(beat, client, instance, own)
            seen = [await moved(beats, "a", None), await moved(beats, "b", None)]
            assert await moved(beats, "a", seen[0]) > seen[0]
            async with failing(client, "update", times=4, errorCode=13):
                await moved(beats, "a", await moved(beats, "a", seen[0]))
                await moved(beats, "b", await moved(beats, "b", seen[1]))
            tasks.cancel_scope.cancel()
    failed = [line for line in logs if line["event"] == "heartbeat_failed"]
    assert 1 <= len(failed) <= 4
    assert "Unauthorized" in failed[0]["reason"]
    assert [line for line in logs if line["event"] == "heartbeat_resumed"]
    assert metrics.REGISTRY.get_sample_value("eventbus_heartbeats_total", {"result": "failed"})
    await watch.database.orders.insert_one({"_id": 1})
    slots: list[Slot] = []
    with anyio.fail_after(HANG_SECS):
        while not slots:
            batch = await reading.next()
            assert batch is not None
            slots += batch.slots
    await reading.close()
    assert ids([slot.event for slot in slots]) == [1]


async def beat(client: Client, instance: str, own: tuple[str, str]) -> None:
    await keep_beating(client, instance=instance, database=own[0], collection=own[1], every_secs=0.01)


async def moved(beats: Any, instance: str, since: Any) -> Any:
    """Wait until a heartbeat is another one; when it was."""
    with anyio.fail_after(HANG_SECS):
        while True:
            found = await beats.find_one({"_id": instance})
            if found is not None and found["at"] != since:
                return found["at"]
            await anyio.lowlevel.checkpoint()
