"""How a Redis is reached: TLS that verifies, and the master that a Sentinel names at the moment."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import Redis

from eventbus.devservices import RedisService
from eventbus.devservices._ports import free_port
from eventbus.sdk import DELIVERED, ConfigurationError, Fault, Retry
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.testing import Changes
from tests.sinks.redis_scene import redis_sink, send
from tests.sinks.redis_servers import MASTER, SENTINEL_PASSWORD, Watched, ask
from tests.sources.certificates import Certificates

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def name() -> str:
    return f"test:{uuid.uuid4().hex}"


@pytest.fixture
def changes() -> Changes:
    return Changes()


@dataclass(frozen=True)
class Encrypted:
    """A Redis that wants certificates of its clients, at two addresses, one of which is in its own."""

    port: int
    certificates: Certificates
    service: RedisService


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    certificates = Certificates.made_in(tmp_path_factory.mktemp("certificates"))
    port = free_port()
    own = str(certificates.server)
    arguments = [
        *("--tls-port", str(port), "--tls-ca-cert-file", str(certificates.ca)),
        *("--tls-cert-file", own, "--tls-key-file", own, "--bind", "127.0.0.1 127.0.0.2"),
    ]
    with RedisService.start(extra_args=arguments) as service:
        yield Encrypted(port, certificates, service)


def _tls(encrypted: Encrypted, **files: Path) -> dict[str, str]:
    ours = {"ca_file": encrypted.certificates.ca, "certificate_file": encrypted.certificates.client}
    return {name: str(path) for name, path in (ours | files).items()}


async def test_a_server_is_verified(encrypted: Encrypted, name: str, changes: Changes) -> None:
    """By who signed its certificate and by its name; and it verifies us."""
    certificates = encrypted.certificates
    url = f"rediss://127.0.0.1:{encrypted.port}/0"
    key = certificates.client.with_suffix(".key")
    certificate = certificates.client.with_suffix(".crt")
    for tls in (_tls(encrypted), _tls(encrypted, certificate_file=certificate, key_file=key)):
        async with redis_sink(url, stream=name, tls=tls) as sink:
            await sink.open()
            assert await send(sink, [changes.change("a")]) == [DELIVERED]
    refused: list[tuple[str, Any]] = [
        (url, _tls(encrypted, ca_file=certificates.strange_ca)),
        (url.replace("127.0.0.1", "127.0.0.2"), _tls(encrypted)),
        (url, {"ca_file": str(certificates.ca)}),
        (url, None),
    ]
    for address, tls in refused:
        async with redis_sink(address, stream=name, tls=tls) as sink:
            [outcome] = await send(sink, [changes.change("a")])
            assert isinstance(outcome, Retry), (address, tls)
            assert outcome.fault is Fault.UNAVAILABLE
    assert Redis.from_url(encrypted.service.url).xlen(name) == 2


async def test_the_steps_to_it_are_told(encrypted: Encrypted, name: str) -> None:
    """Up to the one that fails."""
    url = f"rediss://127.0.0.1:{encrypted.port}/0"
    async with redis_sink(url, stream=name, tls=_tls(encrypted)) as sink:
        steps = [step async for step in sink.probe()]
    assert [(step.name, step.ok) for step in steps] == [
        (step, True) for step in ("resolve", "connect", "tls", "authenticate")
    ]
    assert steps[2].detail.startswith("TLSv1.3, certificate good until")
    strange = _tls(encrypted, ca_file=encrypted.certificates.strange_ca)
    async with redis_sink(url, stream=name, tls=strange) as sink:
        steps = [step async for step in sink.probe()]
    assert [(step.name, step.ok) for step in steps[2:]] == [("tls", False)]
    async with redis_sink(url, stream=name, tls={"ca_file": "/no/such/file"}) as sink:
        with pytest.raises(ConfigurationError, match="tls: "):
            [step async for step in sink.probe()]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with Watched.started() as watched:
        yield watched


def _second(service: RedisService) -> Redis:
    """The database that the sink is told to use."""
    return Redis.from_url(service.url.replace("/0", "/1"))


def _through(watched: Watched, **more: Any) -> dict[str, Any]:
    servers = ["127.0.0.1:1", f"127.0.0.1:{watched.sentinel.port}"]
    return {"sentinel": {"servers": servers, "username": "default", "password": SENTINEL_PASSWORD}} | more


async def test_the_master_of_the_sentinels_is_written_to(
    watched: Watched, name: str, changes: Changes
) -> None:
    """As a user of its own, in the database that is named; after a failover it is the other server."""
    for service in (watched.master, watched.replica):
        ask(Redis.from_url(service.url), "ACL", "SETUSER", "writer", "on", ">pass", "~*", "&*", "+@all")
    url = f"redis://writer:pass@{MASTER}/1"
    async with redis_sink(url, stream=name, timeout="1s", **_through(watched)) as sink:
        await sink.open()
        assert await send(sink, [changes.change("a")]) == [DELIVERED]
        assert _second(watched.master).xlen(name) == 1
        watched.master.kill()
        seen = []
        with anyio.fail_after(120):
            while (outcome := (await send(sink, [changes.change("b")]))[0]) != DELIVERED:
                assert isinstance(outcome, Retry)
                seen.append(outcome.fault)
        assert set(seen) == {Fault.UNAVAILABLE}
        assert _second(watched.replica).xlen(name) >= 1
        names = [(step.name, step.ok) async for step in sink.probe()]
    assert names == [
        *[("resolve", True), ("connect", False)],
        *[("resolve", True), ("connect", True), ("authenticate", True)],
    ]


async def test_a_sentinel_that_does_not_know_us_or_the_master_is_unavailable(
    watched: Watched, name: str, changes: Changes
) -> None:
    """A wrong password there, a name that it does not watch."""
    servers = [f"127.0.0.1:{watched.sentinel.port}"]
    for url, password in ((f"redis://{MASTER}", "wrong"), ("redis://other", SENTINEL_PASSWORD)):
        sentinel = {"servers": servers, "password": password}
        async with redis_sink(url, stream=name, sentinel=sentinel, timeout="1s") as sink:
            [outcome] = await send(sink, [changes.change("a")])
        assert isinstance(outcome, Retry)
        assert outcome.fault is Fault.UNAVAILABLE
        assert "wrong" not in outcome.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "redis://h", "tls": {}}, "rediss://"),
        ({"url": "redis://h/1", "cluster": True}, "database 0"),
        ({"url": "unix:///s", "cluster": True}, "database 0"),
        ({"url": "unix:///s", "sentinel": {"servers": ["h:1"]}}, "name of the master"),
        ({"url": "redis:///0", "sentinel": {"servers": ["h:1"]}}, "name of the master"),
        ({"url": "redis://h/0?nonsense=1", "cluster": True}, "not a valid Redis URL"),
        ({"url": "redis://h/0?nonsense=1", "sentinel": {"servers": ["h:1"]}}, "not a valid Redis URL"),
    ],
)
def test_what_does_not_go_together_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisSink("feed", RedisOptions.model_validate(options | {"stream": "s"}))


def test_verification_cannot_be_left_out_by_accident() -> None:
    """The context that a probe uses is the client's."""
    from eventbus.sinks.redis.server import tls_of

    context = tls_of(RedisOptions.model_validate({"url": "rediss://h", "stream": "s"}))
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
