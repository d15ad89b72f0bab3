"""How the webhook sink shows who it is: passwords, tokens, certificates; each judged by a real server."""

from __future__ import annotations

import base64
import shlex
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from aiohttp import web

from eventbus.sdk import DELIVERED, ConfigurationError, Failure, Fault, Outcome, Rejected, Retry, Unreachable
from eventbus.testing import Changes
from tests.sinks.receiver import Receiver, answering, make_sink, message_of, opened, receiving, send_one

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_names_and_passwords_and_tokens_are_shown(receiver: Receiver) -> None:
    basic = base64.b64encode("us\u00e9r:pa:ss".encode()).decode()
    shapes: dict[str, dict[str, Any]] = {
        f"Basic {basic}": {"basic": {"username": "us\u00e9r", "password": "pa:ss"}},
        "Bearer t0ken.{}~": {"bearer": "t0ken.{}~"},
    }
    for shown, options in shapes.items():
        async with opened(receiver.url, **options) as sink:
            assert await send_one(sink) == DELIVERED
        assert receiver.posts[-1].headers["authorization"] == shown


@pytest.mark.parametrize(
    "options", [{"basic": {"username": "u", "password": "s3cret-pass"}}, {"bearer": "s3cret-t"}]
)
async def test_no_secret_comes_back_in_an_outcome(receiver: Receiver, options: dict[str, Any]) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(status=422, text=f"{request.headers['authorization']} s3cret-pass")

    receiver.handler = echo
    async with opened(receiver.url, **options) as sink:
        outcome = await send_one(sink)
    assert isinstance(outcome, Rejected)
    assert "***" in outcome.reason
    assert base64.b64encode(b"u:s3cret-pass").decode() not in outcome.reason
    assert options.get("bearer", "s3cret-pass") not in outcome.reason
    assert "s3cret" not in repr(
        make_sink("http://h/", **options).Options.model_validate({"url": "http://h/"} | options)
    )


class Issuer:
    """A token endpoint and the endpoint that takes its tokens, on one receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.issued = 0
        self.answer: web.Response | None = None
        self.good: set[str] = set()
        self.expires_in: Any = 3600
        receiver.handler = self._handle

    def options(self, **more: Any) -> dict[str, Any]:
        url = f"{self.receiver.url}/token"
        return {"token_url": url, "client_id": "ev:bus", "client_secret": "s3&ret", **more}

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/token":
            token = request.headers["authorization"].removeprefix("Bearer ")
            return web.Response(status=200 if token in self.good else 401, text=f"who is {token}?")
        if self.answer is not None:
            return web.Response(status=self.answer.status, text=self.answer.text)
        self.issued += 1
        token = f"token-{self.issued}-" + "x" * 5000  # as long as those are that carry claims
        self.good.add(token)
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        )


async def test_a_token_is_asked_for_once_and_kept(receiver: Receiver) -> None:
    """However many requests need it at once."""
    issuer = Issuer(receiver)
    async with opened(receiver.url, oauth2=issuer.options(scope="a b", audience="c")) as sink:
        outcomes: list[Outcome] = []

        async def send() -> None:
            outcomes.append(await send_one(sink))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(send)
    assert outcomes == [DELIVERED] * 8
    assert issuer.issued == 1
    question = receiver.posts[0]
    assert (question.method, question.path) == ("POST", "/token")
    assert base64.b64decode(question.headers["authorization"].removeprefix("Basic ")) == b"ev%3Abus:s3%26ret"
    assert parse_qs(question.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "audience": ["c"],
    }


async def test_credentials_may_stand_in_the_form(receiver: Receiver) -> None:
    issuer = Issuer(receiver)
    async with opened(receiver.url, oauth2=issuer.options(credentials="body")) as sink:
        assert await send_one(sink) == DELIVERED
    assert "authorization" not in receiver.posts[0].headers
    form = parse_qs(receiver.posts[0].body.decode())
    assert (form["client_id"], form["client_secret"]) == (["ev:bus"], ["s3&ret"])


async def test_a_token_that_is_refused_is_replaced_once(receiver: Receiver) -> None:
    """Within the attempt; if the new one is refused too, it is our credentials that are."""
    issuer = Issuer(receiver)
    async with opened(receiver.url, oauth2=issuer.options()) as sink:
        issuer.good.clear()
        assert await send_one(sink) == DELIVERED
        assert (issuer.issued, len(receiver.posts)) == (2, 4)
        issuer.good.clear()
        issuer.answer = web.Response(status=401)
        refused = await send_one(sink)
        issuer.answer = web.Response(status=200, text='{"access_token": "other"}')
        unknown = await send_one(sink)
    for outcome in (refused, unknown):
        assert isinstance(outcome, Retry)
        assert (outcome.fault, outcome.kind) == (Fault.UNAUTHORISED, Failure.UNAUTHORISED)
        assert "token-2" not in outcome.reason + outcome.detail
    assert isinstance(unknown, Retry)
    assert unknown.detail == "who is ***?"


async def test_a_token_is_replaced_before_it_expires(receiver: Receiver) -> None:
    """With a life of nothing, for each attempt."""
    issuer = Issuer(receiver)
    issuer.expires_in = 0
    async with opened(receiver.url, oauth2=issuer.options()) as sink:
        for _ in range(2):
            assert await send_one(sink) == DELIVERED
    assert issuer.issued == 3


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (503, "", Fault.UNAVAILABLE),
        (429, "", Fault.UNAVAILABLE),
        (400, '{"error": "invalid_client"}', Fault.UNAUTHORISED),
        (200, "<html>", Fault.UNAUTHORISED),
        (200, "[]", Fault.UNAUTHORISED),
        (200, '{"access_token": "a\\nb"}', Fault.UNAUTHORISED),
        (200, '{"access_token": "a", "expires_in": null}', Fault.UNAUTHORISED),
    ],
)
async def test_without_a_token_nothing_is_sent(
    receiver: Receiver, status: int, text: str, fault: Fault
) -> None:
    """At the start it is waited for, later it is an outcome."""
    issuer = Issuer(receiver)
    async with opened(receiver.url, oauth2=issuer.options()) as sink:
        issuer.answer = web.Response(status=status, text=text)
        issuer.good.clear()
        outcome = await send_one(sink)
        with pytest.raises(Unreachable, match="no access token"):
            await make_sink(receiver.url, oauth2=issuer.options()).open()
    assert isinstance(outcome, Retry)
    assert outcome.fault is fault
    assert "no access token" in outcome.reason
    assert "s3&ret" not in outcome.reason


async def test_the_server_for_tokens_is_bound_by_the_same_networks(receiver: Receiver) -> None:
    """Its address may come from the same hands."""
    issuer = Issuer(receiver)
    options = issuer.options(token_url=f"http://127.0.0.2:{receiver.port}/token")
    with pytest.raises(Unreachable, match=r"no access token.* 127\.0\.0\.2 is in no network"):
        await make_sink(receiver.url, oauth2=options, networks=["127.0.0.1/32"]).open()


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that sign themselves, of a server and of a client, and an encrypted key."""
    directory = tmp_path_factory.mktemp("papers")
    for name, extra in (("server", "-addext subjectAltName=IP:127.0.0.1"), ("client", "")):
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            f"-subj /CN={name} {extra} -keyout {directory}/{name}.key -out {directory}/{name}.pem"
        )
        subprocess.run(shlex.split(command), check=True, capture_output=True)
    command = f"openssl ec -in {directory}/client.key -aes256 -passout pass:open -out {directory}/locked.key"
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    return directory


async def test_both_sides_show_certificates(papers: Path) -> None:
    """The server takes nobody whom it does not know; the key may be locked."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(papers / "client.pem"))
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    ours = {"ca": str(papers / "server.pem"), "certificate": str(papers / "client.pem")}
    async with receiving(context) as receiver:
        for key in (
            {"key": str(papers / "client.key")},
            {"key": str(papers / "locked.key"), "key_password": "open"},
        ):
            async with opened(receiver.url, tls=ours | key) as sink:
                assert await send_one(sink) == DELIVERED
        with pytest.raises(Unreachable, match="the certificate is not valid"):
            await make_sink(receiver.url).open()
        unknown = make_sink(receiver.url, tls={"ca": ours["ca"]})
        await unknown.open()  # TLS 1.3 tells a client last that it is not known
        (outcome,) = await unknown.send([message_of(unknown, Changes().change("a"))])
        await unknown.close()
        assert isinstance(outcome, Retry)
        assert outcome.fault is Fault.UNAVAILABLE
    assert len(receiver.posts) == 2


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"ca": "no.pem"}, "ca no.pem: No such file"),
        ({"ca": "client.key"}, "ca client.key: "),
        ({"certificate": "client.pem", "key": "server.key"}, "KEY_VALUES_MISMATCH"),
        (
            {"certificate": "client.pem", "key": "no.key"},
            "certificate client.pem with key no.key: No such file",
        ),
        (
            {"certificate": "client.pem", "key": "locked.key", "key_password": "s3cret"},
            "certificate client.pem",
        ),
        ({"certificate": "client.pem", "key": "locked.key"}, "certificate client.pem"),
    ],
)
async def test_papers_that_are_of_no_use_are_named(
    papers: Path, tls: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting would not help."""
    monkeypatch.chdir(papers)
    with pytest.raises(ConfigurationError, match=r"^sinks\.hook\.tls: ") as error:
        await make_sink("https://127.0.0.1:1/", tls=tls).open()
    assert said in str(error.value)
    assert "s3cret" not in str(error.value)


async def test_a_status_of_401_opens_the_circuit_where_there_is_no_token_to_replace(
    receiver: Receiver,
) -> None:
    receiver.handler = answering(401)
    async with opened(receiver.url, bearer="t") as sink:
        outcome = await send_one(sink)
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAUTHORISED
    assert len(receiver.posts) == 1
