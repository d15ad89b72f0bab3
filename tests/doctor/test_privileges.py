"""`eventbus doctor` and users who may not do what is needed: what it has typed is enough, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.doctor.findings import Verdict
from eventbus.doctor.needs import Need, missing
from eventbus.model import Position
from eventbus.servers import check_sources, open_source, open_store
from eventbus.state.store import Save
from tests.doctor.patient import Patient, typed

pytestmark = pytest.mark.services

Administrator = MongoClient[dict[str, Any]]


@pytest.fixture
def root(guarded: MongoService) -> Iterator[Administrator]:
    """Who types what is shown; the user and the roles of a test are gone afterwards."""
    with Administrator(guarded.uri) as connected:
        yield connected
        for user in connected.admin.command("usersInfo")["users"]:
            if user["user"] != "root":
                connected.admin.command("dropUser", user["user"])
        connected.admin.command("dropAllRolesFromDatabase")


@pytest.fixture
def stranger(guarded: MongoService, root: Administrator, tmp_path: Path) -> Patient:
    """A user without any role; state is in MongoDB."""
    root.admin.command("createUser", "stranger", pwd="pw", roles=[])
    uri = f"mongodb://stranger:pw@127.0.0.1:{guarded.port}/?replicaSet=rs0&authSource=admin"
    patient = Patient(tmp_path, uri)
    patient.parts["state"] = "{type: mongodb, database: eventbus_state}"
    return patient


def test_what_is_missing_is_named_and_what_is_shown_mends_it(stranger: Patient, root: Administrator) -> None:
    """Exactly: the daemon then opens its stream, keeps its state and sees the oplog."""
    problems = stranger.problems()
    assert set(problems) == {"privileges.source", "privileges.state", "privileges.oplog", "oplog.unknown"}
    assert problems["privileges.source"].text == "user stranger lacks changeStream, find on shop.orders"
    state = "createIndex, find, insert, remove, update on eventbus_state.*"
    assert problems["privileges.state"].text == f"user stranger lacks {state}"
    for code in ("privileges.source", "privileges.state", "privileges.oplog"):
        typed(root, problems[code].mend)
    assert stranger.problems() == {}
    anyio.run(_works, stranger)


async def _works(patient: Patient) -> None:
    config = patient.config()
    await check_sources(config)
    async with open_source(config, "orders") as source, open_store(config) as store:
        await source.oldest()
        lease = await store.acquire("orders", lease_secs=60.0, reclaim=False)
        assert lease is not None
        saved = await store.save([Save(lease, {"feed": Position("82")})], lease_secs=60.0)
        assert saved == [True]
        await store.set_paused("orders", "feed", "to see if it can be")
        await store.release(lease)


def test_a_role_that_is_there_gets_what_it_lacks(stranger: Patient, root: Administrator) -> None:
    """A second collection makes it a stream of the database, for which the first privilege is not enough."""
    typed(root, stranger.problems()["privileges.source"].mend)
    assert "privileges.source" not in stranger.problems()
    stranger.parts["source"] = "collections: [orders, products]"
    problem = stranger.problems()["privileges.source"]
    assert problem.text == "user stranger lacks changeStream, find on shop.*"
    assert "grantPrivilegesToRole" in problem.mend
    typed(root, problem.mend)
    assert "privileges.source" not in stranger.problems()


def test_snapshots_lookups_and_the_heartbeat_have_needs_of_their_own(
    stranger: Patient, root: Administrator
) -> None:
    """Each is found, and what is shown mends it."""
    stranger.parts["mongodb"] = ", heartbeat: {database: beats, collection: hearts}"
    stranger.parts["source"] = "collections: [orders], snapshot: initial"
    stranger.parts["subscriptions"] = (
        "    pipeline: [{lookup: {collection: customers, key: document.customer, into: document.customer}}]\n"
    )
    problems = stranger.problems()
    assert problems["privileges.source"].text == (
        "user stranger lacks changeStream, find on shop.orders; listCollections on shop.*; "
        "find on shop.customers"
    )
    assert problems["privileges.heartbeat"].text == "user stranger lacks insert, update on beats.hearts"
    assert problems["privileges.heartbeat"].verdict is Verdict.WARN
    for code in ("privileges.source", "privileges.state", "privileges.oplog", "privileges.heartbeat"):
        typed(root, problems[code].mend)
    assert stranger.problems() == {}


def test_the_whole_cluster(stranger: Patient, root: Administrator) -> None:
    """Its stream and its snapshot need more."""
    stranger.parts["place"] = ""
    stranger.parts["source"] = "snapshot: initial"
    problem = stranger.problems()["privileges.source"]
    assert "changeStream, find on all databases" in problem.text
    assert "listDatabases on the cluster" in problem.text
    typed(root, problem.mend)
    assert not {"privileges.source", "stream.refused"} & set(stranger.problems())


def test_collections_that_may_not_be_listed(stranger: Patient, root: Administrator) -> None:
    """The daemon need not list them; the examination has to, if it is to know of their images."""
    problems = stranger.problems()
    for code in ("privileges.source", "privileges.state", "privileges.oplog"):
        typed(root, problems[code].mend)
    stranger.parts["source"] = "collections: [orders], before: required"
    problems = stranger.problems()
    assert set(problems) == {"images.unknown"}
    assert "Unauthorized (13)" in problems["images.unknown"].text


def test_who_gives_no_name(guarded: MongoService, tmp_path: Path) -> None:
    """The server would refuse each command by itself; this says why."""
    patient = Patient(tmp_path, f"mongodb://127.0.0.1:{guarded.port}/?replicaSet=rs0")
    patient.parts["state"] = "{type: mongodb}"
    problems = patient.problems()
    assert set(problems) == {"privileges.nobody"}


@pytest.mark.parametrize(
    ("resource", "allows"),
    [
        ({"anyResource": True}, True),
        ({"db": "shop", "collection": "orders"}, True),
        ({"db": "shop", "collection": ""}, True),
        ({"db": "", "collection": "orders"}, True),
        ({"db": "", "collection": ""}, True),
        ({"db": "shop", "collection": "products"}, False),
        ({"db": "other", "collection": ""}, False),
        ({"cluster": True}, False),
    ],
)
def test_a_resource_stands_for_others(
    stranger: Patient, root: Administrator, resource: dict[str, Any], allows: bool
) -> None:
    """As the server has it: it opens the stream where no privilege is found missing, and nowhere else."""
    granted = {"resource": resource, "actions": ["changeStream", "find"]}
    root.admin.command("createRole", "some", privileges=[granted], roles=[])
    root.admin.command("grantRolesToUser", "stranger", roles=["some"])
    stranger.parts["state"] = f"{{type: sqlite, path: {stranger.directory}/state.db}}"
    findings = {finding.code for finding in stranger.findings()}
    assert ("privileges.source" not in findings) is allows
    assert ("stream" in findings) is allows
    opens = True
    try:
        anyio.run(check_sources, stranger.config())
    except Exception:
        opens = False
    assert opens is allows


def test_local_is_no_normal_database() -> None:
    """A privilege on all databases does not reach into the oplog."""
    anywhere = {"resource": {"db": "", "collection": ""}, "actions": ["find"]}
    need = Need("local", "oplog.rs", ("find",))
    assert missing([need], [anywhere]) == [need]
    by_name = {"resource": {"db": "local", "collection": "oplog.rs"}, "actions": ["find"]}
    assert missing([need], [by_name]) == []
