"""How Kafka lets us in: TLS that verifies, certificates of ours, passwords, tokens."""

from __future__ import annotations

import json
import shlex
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from eventbus.devservices import KafkaService
from eventbus.sdk import DELIVERED, ConfigurationError, Fault, Message, Retry, Unreachable
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.kafka_topics import create_topic, records
from tests.sources.certificates import Certificates
from tests.sources.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.services]

USER, PASSWORD = "shop", "open-sesame"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Guarded:
    """A broker with a listener for each way in, beside the open one."""

    service: KafkaService
    certificates: Certificates

    def sink(self, listener: str, topic: str, **options: Any) -> KafkaSink:
        values = {
            "bootstrap_servers": f"127.0.0.1:{self.service.listeners[listener]}",
            "topic": topic,
            "request_timeout": "5s",
            **options,
        }
        return KafkaSink("orders_topic", KafkaOptions.model_validate(values))

    @property
    def trusted(self) -> dict[str, str]:
        return {"ca_file": str(self.certificates.ca)}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    certificates = Certificates.made_in(tmp_path_factory.mktemp("certificates"))
    login = "org.apache.kafka.common.security"
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca),
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        **_jaas("plain", f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'),
        **_jaas("scram-sha-256", f"{login}.scram.ScramLoginModule required;"),
        **_jaas("scram-sha-512", f"{login}.scram.ScramLoginModule required;"),
        **_jaas(
            "oauthbearer",
            f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        ),
    }
    listeners = {"MUTUAL": "SSL", "SECURE": "SASL_SSL", "CLEAR": "SASL_PLAINTEXT"}
    with KafkaService.start(
        extra_properties=properties, listeners=listeners, scram_users={USER: PASSWORD}
    ) as service:
        yield Guarded(service, certificates)


def _jaas(mechanism: str, module: str) -> dict[str, str]:
    return {f"listener.name.{name}.{mechanism}.sasl.jaas.config": module for name in ("secure", "clear")}


async def _arrives(guarded: Guarded, listener: str, **options: Any) -> bool:
    """Whether a record gets in there, as a consumer by the open listener sees it."""
    topic = await create_topic(guarded.service.bootstrap_servers)
    sink = guarded.sink(listener, topic, **options)
    try:
        await sink.open()
        made = sink.encode(Changes().change("a"), PlainEncoder())
        assert isinstance(made, Message)
        assert await sink.send([made]) == [DELIVERED]
    finally:
        await sink.close()
    return len(await records(guarded.service.bootstrap_servers, topic)) == 1


def _password(mechanism: str, password: str = PASSWORD) -> dict[str, str]:
    return {"mechanism": mechanism, "username": USER, "password": password}


async def test_certificates_on_both_sides(guarded: Guarded, tmp_path: Path) -> None:
    """Ours may be in two files, the key locked; without it, or with a strange authority, nobody gets in."""
    ours = {"certificate_file": str(guarded.certificates.client)}
    pem = guarded.certificates.client.read_text()
    end = pem.index("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(pem[:end])
    (tmp_path / "certificate.pem").write_text(pem[end:])
    apart = {"certificate_file": str(tmp_path / "certificate.pem"), "key_file": str(tmp_path / "key.pem")}
    assert await _arrives(guarded, "MUTUAL", tls={**guarded.trusted, **ours})
    assert await _arrives(guarded, "MUTUAL", tls={**guarded.trusted, **apart})
    command = f"openssl pkey -in {tmp_path}/key.pem -aes256 -passout pass:open -out {tmp_path}/locked.key"
    await anyio.run_process(shlex.split(command))
    locked = {**apart, "key_file": str(tmp_path / "locked.key"), "key_password": "open"}
    assert await _arrives(guarded, "MUTUAL", tls={**guarded.trusted, **locked})
    for tls in (guarded.trusted, {"ca_file": str(guarded.certificates.strange_ca), **ours}, ours):
        with pytest.raises(Unreachable, match="no Kafka broker answers"):
            await guarded.sink("MUTUAL", "orders", tls=tls).open()


async def test_the_name_in_a_certificate_is_verified(guarded: Guarded) -> None:
    """The same broker at an address that its certificate does not have."""
    tls = {**guarded.trusted, "certificate_file": str(guarded.certificates.client)}
    topic = await create_topic(guarded.service.bootstrap_servers)
    for host in ("127.0.0.1", "127.0.0.2"):
        async with Proxy(guarded.service.listeners["MUTUAL"], host=host) as proxy:
            place = f"{host}:{proxy.port}"
            sink = guarded.sink("MUTUAL", topic, tls=tls, bootstrap_servers=place)
            if host == "127.0.0.1":
                await sink.open()
            else:
                with pytest.raises(Unreachable, match=place):
                    await sink.open()
            await sink.close()


async def test_files_that_cannot_be_used_are_named(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    for tls, name in (
        ({"ca_file": str(tmp_path / "missing.pem")}, "ca_file .*missing.pem: No such file"),
        ({"ca_file": str(tmp_path / "text.pem")}, "ca_file .*text.pem: "),
        (
            {"certificate_file": str(tmp_path / "text.pem")},
            "certificate_file .*text.pem with key ",
        ),
    ):
        with pytest.raises(ConfigurationError, match=rf"sinks.orders_topic.tls: {name}"):
            await guarded.sink("MUTUAL", "orders", tls=tls).open()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_lets_us_in(guarded: Guarded, mechanism: str) -> None:
    """The wrong one does not, and that is what the operator reads."""
    assert await _arrives(guarded, "SECURE", tls=guarded.trusted, sasl=_password(mechanism))
    with pytest.raises(Unreachable, match="Kafka does not let us in") as caught:
        await guarded.sink(
            "SECURE", "orders", tls=guarded.trusted, sasl=_password(mechanism, "wrong-word")
        ).open()
    assert "wrong-word" not in str(caught.value)


async def test_scram_needs_no_encryption(guarded: Guarded) -> None:
    assert await _arrives(guarded, "CLEAR", sasl=_password("SCRAM-SHA-256"))


async def test_who_is_not_let_in_any_more_opens_the_circuit(guarded: Guarded) -> None:
    """A connection that ends while the sink is open, and a new one is refused."""
    topic = await create_topic(guarded.service.bootstrap_servers)
    sink = guarded.sink("CLEAR", topic, sasl=_password("SCRAM-SHA-256"))
    await sink.open()
    assert sink._connection is not None
    await sink._connection.retire()
    sink._arguments = {**sink._arguments, "sasl_plain_password": "changed"}
    made = sink.encode(Changes().change("a"), PlainEncoder())
    assert isinstance(made, Message)
    [outcome] = await sink.send([made])
    await sink.close()
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAUTHORISED


def _token(lives_secs: float) -> str:
    """An unsecured JSON Web Token, which a broker takes that was told of no keys."""
    now = time.time()
    parts: list[Mapping[str, Any]] = [{"alg": "none"}, {"sub": USER, "iat": now, "exp": now + lives_secs}]
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@asynccontextmanager
async def _token_server(asked: list[dict[str, str]], status: int = 200) -> AsyncIterator[str]:
    """It remembers the forms, and who asks: an answer to each."""

    async def give(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        header = request.headers.get("Authorization", "")
        asked.append(form | ({"header": header.partition(" ")[0]} if header else {}))
        return web.json_response({"access_token": _token(300), "expires_in": 300}, status=status)

    application = web.Application()
    application.router.add_post("/token", give)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def _bearer(url: str, **more: str) -> dict[str, Any]:
    oauth2 = {"token_url": url, "client_id": "eventbus", "client_secret": "hush", **more}
    return {"mechanism": "OAUTHBEARER", "oauth2": oauth2}


async def test_a_token_lets_us_in(guarded: Guarded) -> None:
    """Asked for once, for all connections of the client, as whom and for what was written."""
    asked: list[dict[str, str]] = []
    wanted = {"scope": "kafka", "audience": "brokers"}
    async with _token_server(asked) as url:
        for more in ({}, {"credentials": "body", **wanted}):
            assert await _arrives(guarded, "SECURE", tls=guarded.trusted, sasl=_bearer(url, **more))
    kind = {"grant_type": "client_credentials"}
    ours = {"client_id": "eventbus", "client_secret": "hush"}
    assert asked == [kind | {"header": "Basic"}, kind | wanted | ours]


async def test_without_a_token_the_operator_reads_why(guarded: Guarded) -> None:
    async with _token_server([], status=401) as url:
        with pytest.raises(Unreachable, match=r"Kafka does not let us in: .*answered 401") as caught:
            await guarded.sink("SECURE", "orders", tls=guarded.trusted, sasl=_bearer(url)).open()
    assert "hush" not in str(caught.value)


async def test_the_steps_of_a_probe(guarded: Guarded) -> None:
    """Resolve, connect, TLS, and then the brokers' own word."""
    topic = await create_topic(guarded.service.bootstrap_servers)
    sink = guarded.sink("SECURE", topic, tls=guarded.trusted, sasl=_password("PLAIN"))
    steps = [step async for step in sink.probe()]
    await sink.close()
    assert [step.name for step in steps] == ["resolve", "connect", "tls", "authenticate"]
    assert all(step.ok for step in steps)
