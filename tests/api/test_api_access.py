"""Who is let in, and how often: tokens, names, rates, certificates, without any other server."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from anyio.abc import SocketStream
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from eventbus.api.application import ENDPOINTS
from eventbus.api.connections import MOST
from eventbus.api.endpoints import Call
from eventbus.api.limits import Limits
from eventbus.api.problems import Refused
from eventbus.api.reach import Installation, Reach
from eventbus.api.server import Health, admin_server
from eventbus.cli.daemon_seen import DaemonAt
from eventbus.config.models import ServerSection, ServerTLSSection, TokenSection
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import DeadLetter, Event
from eventbus.reloading.outcome import ReloadOutcome
from eventbus.state.store import StoredDeadLetter
from tests.api.caller import READ, WRITE, Answer, Caller
from tests.sources.certificates import Certificates

pytestmark = pytest.mark.anyio

TOKENS = (
    TokenSection(name="reader", token=SecretStr(READ)),
    TokenSection(name="operator", token=SecretStr(WRITE), scope="write"),
)


@pytest.fixture
def anyio_backend() -> str:
    """The library that serves is one of asyncio."""
    return "asyncio"


class _Away:
    """A state store that is away, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0

    @asynccontextmanager
    async def opened(self, _config: Any) -> AsyncIterator[Any]:
        self.asked += 1
        if self.asked:
            raise Unreachable("the state store is away")
        yield


@asynccontextmanager
async def _served(
    context: ssl.SSLContext | None = None, away: _Away | None = None, reloads: Any = None, **options: Any
) -> AsyncIterator[Caller]:
    nothing: Any = None
    config: Any = SimpleNamespace(subscriptions={})
    store = (away or _Away()).opened
    installation = Installation(lambda: config, dict, store, nothing, nothing, reloads, nothing)
    server = ServerSection(port=0, **{"tokens": TOKENS, **options})
    ok = Health(ok=True)
    async with admin_server(server, installation, live=lambda: ok, ready=lambda: ok) as port:
        yield Caller(port, tls=context)


async def _get(caller: Caller, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    return await anyio.to_thread.run_sync(lambda: caller.ask("GET", path, headers=headers))


def _tls(files: Mapping[str, str]) -> dict[str, Any]:
    return {"tls": ServerTLSSection.model_validate(files)}


class _GoesAway:
    """A state store that has one dead letter to tell of, and then is away."""

    @asynccontextmanager
    async def opened(self, _config: Any) -> AsyncIterator[Any]:
        yield self

    async def find_letters(self, _query: Any, **_: Any) -> AsyncIterator[StoredDeadLetter]:
        event = Event(token="82", id="e", operation="insert", database="shop", collection="orders")
        letter = DeadLetter("orders", "feed", event, "HTTP 422", 1)
        yield StoredDeadLetter(letter, b"{}", datetime.now(UTC), "parked")
        raise Unreachable("the state store is away")


async def test_an_export_that_breaks_off_has_no_end() -> None:
    """So nobody takes a part for the whole."""
    away: Any = _GoesAway()
    with capture_logs() as log:
        async with _served(away=away) as call:
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                await _get(call, "/v1/dead-letters/export")
            assert (await _get(call, DESCRIBED)).status == 200
    (line,) = [line for line in log if line["event"] == "api_export_broken"]
    assert line["reason"] == "the state store is away"


async def test_a_bug_is_written_down_and_not_told() -> None:
    """Whatever path it is on: the library is silent, so nobody else would say it."""

    def broken() -> Health:
        raise RuntimeError("what nobody thought of")

    nothing: Any = None
    installation = Installation(lambda: nothing, dict, nothing, nothing, nothing, nothing, nothing)
    with capture_logs() as log:
        async with admin_server(ServerSection(port=0), installation, live=broken, ready=broken) as port:
            answer = await _get(Caller(port, ""), "/readyz")
    assert (answer.status, answer.code) == (500, "failed")
    assert b"nobody thought" not in answer.body
    (line,) = [line for line in log if line["event"] == "api_failed"]
    assert (line["operation"], str(line["exc_info"])) == ("/readyz", "what nobody thought of")


DESCRIBED = "/v1/openapi.json"


async def test_a_rate_is_kept_for_each_token() -> None:
    """Who asks too often waits for as long as is said; others do not."""
    async with _served(rate="1/h") as call:
        answers = [await _get(call, DESCRIBED) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 429]
        assert 0 < int(answers[1].headers["retry-after"]) <= 3600
        assert (await _get(call.with_token(READ), DESCRIBED)).status == 200
        assert (await _get(call, "/livez")).status == 200


async def test_wrong_tokens_are_slowed_down_and_keep_nobody_out() -> None:
    """After ten in a row of one address, while a valid one of the same address goes through."""
    async with _served() as call:
        wrong = call.with_token("wrong-token-0123456789")
        statuses = [(await _get(wrong, DESCRIBED)).status for _ in range(12)]
        assert statuses[:10] == [401] * 10
        assert 429 in statuses[10:]
        assert (await _get(call, DESCRIBED)).status == 200


async def test_who_only_connects_takes_no_descriptor_from_others() -> None:
    """The one that has been idle for longest makes room for others; one that is worked on does not."""
    working = _Held()
    async with _served(away=working) as call, AsyncExitStack() as stack:

        async def connected() -> SocketStream:
            return await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", call.port))

        asking = await connected()
        await asking.send(f"GET /v1/gaps HTTP/1.1\r\nHost: localhost\r\n{_SHOWN}\r\n\r\n".encode())
        await working.begun.wait()
        idle = [await connected() for _ in range(MOST + 40)]
        assert (await _get(call, "/livez")).status == 200
        with anyio.fail_after(20), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await idle[0].receive()
        working.go_on.set()
        with anyio.fail_after(20):
            assert b" 503 " in await asking.receive()


class _Held(_Away):
    """A state store whose opening takes until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = anyio.Event()
        self.go_on = anyio.Event()

    @asynccontextmanager
    async def opened(self, config: Any) -> AsyncIterator[Any]:
        self.begun.set()
        await self.go_on.wait()
        async with super().opened(config) as store:
            yield store


_SHOWN = f"Authorization: Bearer {READ}"


async def test_without_tokens_nobody_may_ask() -> None:
    """Not even on loopback."""
    async with _served(tokens=()) as call:
        answer = await _get(call, DESCRIBED)
        assert answer.code == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "server.tokens" in answer.json["detail"]
        assert (await _get(call, "/metrics")).status == 200


async def test_metrics_may_need_a_token() -> None:
    """And are had with one that may look."""
    async with _served(metrics_needs_token=True) as call:
        assert (await _get(call.with_token(""), "/metrics")).status == 401
        assert (await _get(call.with_token(READ), "/metrics")).status == 200
        assert (await _get(call.with_token(""), "/readyz")).status == 200


@pytest.mark.parametrize(
    ("names", "host", "status"),
    [
        ((), "localhost:80", 200),
        ((), "127.0.0.1", 200),
        ((), "[::1]:8686", 200),
        ((), "evil.example.com", 403),
        ((), "localhost.evil.example.com", 403),
        (("bus.example.com",), "bus.example.com:8686", 200),
        (("bus.example.com",), "BUS.example.com.", 200),
        (("bus.example.com",), "evil.example.com", 403),
    ],
)
async def test_it_answers_to_its_names_alone(names: tuple[str, ...], host: str, status: int) -> None:
    """A page whose own name was bound to 127.0.0.1 calls it by that name."""
    async with _served(host_names=names) as call:
        assert (await _get(call, DESCRIBED, {"Host": host})).status == status
        assert (await _get(call, "/metrics", {"Host": host})).status == status


async def test_a_store_that_is_away_is_told_and_not_asked_by_everybody() -> None:
    """Who asks again at once hears so at once."""
    away = _Away()
    async with _served(away=away) as call:
        for _ in range(2):
            answer = await _get(call, "/v1/operations")
            assert (answer.code, answer.json["detail"]) == ("unavailable", "the state store is away")
    assert away.asked == 1


class _Slow:
    """A daemon that drains something slow."""

    def __init__(self) -> None:
        self.asked = 0
        self.drained = anyio.Event()

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`."""
        self.asked += 1
        await self.drained.wait()
        return ReloadOutcome("unchanged")


async def test_who_waits_for_a_reload_holds_up_nobody() -> None:
    """More of them than requests are worked on at once; another one is answered meanwhile."""
    slow = _Slow()
    answers: list[Answer] = []
    async with _served(reloads=slow) as call, anyio.create_task_group() as tasks:

        async def reload() -> None:
            answers.append(await anyio.to_thread.run_sync(lambda: call.ask("POST", "/v1/reload")))

        for _ in range(12):
            tasks.start_soon(reload)
        with anyio.fail_after(15):
            while slow.asked < 12:  # noqa: ASYNC110 - they come by threads
                await anyio.sleep(0.01)
            assert (await _get(call, "/v1/gaps")).status == 503
        assert answers == []
        slow.drained.set()
    assert [answer.json["result"] for answer in answers] == ["unchanged"] * 12


async def test_one_closer_look_at_a_time() -> None:
    """Whoever comes meanwhile is told to come again, and holds up nobody."""
    nothing: Any = None
    reach = Reach(nothing)

    async def hold(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with reach.looking:
            task_status.started()
            await anyio.sleep_forever()

    (plan,) = (one for one in ENDPOINTS if one.name == "plan")
    async with anyio.create_task_group() as tasks:
        await tasks.start(hold)
        with pytest.raises(Refused, match="another look") as refused:
            await plan.handler(Call(nothing, reach, nothing), None, None)
        tasks.cancel_scope.cancel()
    assert refused.value.reason.code == "too_many_requests"


async def test_certificates(tmp_path: Path) -> None:
    """Its own is shown; callers need one too, where that is asked for."""
    made = Certificates.made_in(tmp_path)
    files = {"certificate_file": str(made.server), "key_file": str(made.server)}
    anybody = ssl.create_default_context(cafile=made.ca)
    known = ssl.create_default_context(cafile=made.ca)
    known.load_cert_chain(made.client)
    async with _served(anybody, **_tls(files)) as call:
        assert (await _get(call, DESCRIBED)).status == 200
    async with _served(known, **_tls({**files, "client_ca_file": str(made.ca)})) as call:
        assert (await _get(call, DESCRIBED)).status == 200
        stranger = Caller(call.port, tls=anybody)
        with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
            await _get(stranger, "/livez")
    with pytest.raises(ConfigurationError, match=r"server\.tls"):
        async with _served(**_tls({**files, "key_file": str(made.client)})):
            pass


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"host": "0.0.0.0"}, "lets other machines in"),
        ({"host": "eventbus.internal"}, "lets other machines in"),
        ({"metrics_needs_token": True}, "needs tokens"),
        ({"tokens": (TOKENS[0], TOKENS[0])}, "same name"),
        ({"tokens": [{"name": "a", "token": "short"}]}, "at least 16 characters"),
        ({"tokens": [{"name": "a", "token": "with a space in between"}]}, "no space"),
    ],
)
def test_what_would_be_unsafe_is_refused(options: dict[str, Any], complaint: str) -> None:
    """With what to do, and without the token."""
    with pytest.raises(ValidationError, match=complaint) as refused:
        ServerSection.model_validate(options)
    assert "short" not in str(refused.value)
    assert "in between" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """For health and metrics."""
    assert ServerSection(host=host).is_local
    assert not ServerSection(host="0.0.0.0", allow_unauthenticated=True).is_local


@given(
    per_sec=st.integers(1, 20),
    burst=st.integers(1, 20),
    waits=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_in_no_stretch_of_time_more_is_granted_than_flows_in(
    per_sec: int, burst: int, waits: list[float]
) -> None:
    """And a bucketful; and who waits as long as is said is granted."""
    now = 0.0
    limits = Limits(per_sec, burst, lambda: now)
    for granted, wait in enumerate(waits, 1):
        now += wait
        refused_for = limits.refused_for("one")
        if refused_for:
            now += refused_for
            assert limits.refused_for("one") == 0
        assert granted <= burst + per_sec * now + 1e-6
    assert limits.refused_for("another") == 0


@pytest.mark.parametrize("body", [b"[]", b"1", b"{}", b'{"subscriptions": 1}'])
async def test_the_command_line_knows_another_server(body: bytes) -> None:
    """One that took the port instead: it is said, and no mistake of ours."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as server:
        daemon = DaemonAt(str(server.make_url("")), READ)
        assert not await daemon.seen()
        with pytest.raises(Unreachable, match="is no eventbus"):
            await daemon.standing(None)
        with pytest.raises(Unreachable, match="is no eventbus"):
            await daemon.reload()


async def test_the_command_line_asks_by_tls_and_with_its_token(tmp_path: Path) -> None:
    """It trusts whom it is told to, shows what it is given, and says what the daemon says."""
    made = Certificates.made_in(tmp_path)
    files = {
        "certificate_file": str(made.server),
        "key_file": str(made.server),
        "client_ca_file": str(made.ca),
    }
    async with _served(**_tls(files)) as call:
        daemon = DaemonAt(f"https://localhost:{call.port}", READ, made.ca, made.client)
        assert await daemon.seen() == {}
        with pytest.raises(Unreachable, match="refuses: the state store is away"):
            await daemon.standing(None)
        with pytest.raises(ConfigurationError, match="refuses: send one that"):
            await replace(daemon, token="wrong-token-0123456789").standing(None)
        for stranger in (replace(daemon, ca=made.strange_ca), replace(daemon, certificate=None)):
            assert await stranger.seen() is None
            with pytest.raises(Unreachable, match="no daemon answers"):
                await stranger.standing(None)
        assert READ not in repr(daemon)
