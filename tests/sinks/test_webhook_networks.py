"""Whom the webhook sink talks to: addresses as numbers, and real sockets that are, or are not, connected."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from eventbus.http.networks import Networks
from eventbus.sdk import DELIVERED, Failure, Fault, Retry, Unreachable
from eventbus.sinks.webhook import WebhookOptions
from tests.sinks.receiver import Receiver, make_sink, opened, receiving, send_one

pytestmark = pytest.mark.anyio

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:a00:1", "::10.0.0.1"),
    *("2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
]
NEITHER = [
    *(
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::",
    ),
    *("64:ff9b::a9fe:a9fe", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
    *("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses(address: str) -> None:
    assert Networks(["public"]).allow(address)
    assert not Networks(["private"]).allow(address)


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_addresses(address: str) -> None:
    """In whatever form they are disguised."""
    assert Networks(["private"]).allow(address)
    assert not Networks(["public"]).allow(address)


@pytest.mark.parametrize("address", NEITHER)
async def test_addresses_that_must_be_listed(address: str) -> None:
    """Above all those where clouds hand out credentials."""
    assert not Networks(["public", "private"]).allow(address)
    assert Networks(["0.0.0.0/0", "::/0"]).allow(address)


async def test_listed_networks_are_all_that_is_allowed_unless_a_word_says_more() -> None:
    listed = Networks(["10.1.0.0/16", "fd12::/16"])
    assert listed.allow("10.1.2.3")
    assert listed.allow("::ffff:10.1.2.3")
    assert listed.allow("fd12::5")
    assert not listed.allow("10.2.0.1")
    assert not listed.allow("8.8.8.8")
    assert Networks(["public", "10.1.0.0/16"]).allow("8.8.8.8")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST", "[::1]", "169.254.169.254"],
)
async def test_nothing_private_is_connected_to_where_that_is_not_allowed(
    receiver: Receiver, host: str
) -> None:
    """By no spelling, and by no name."""
    sink = make_sink(f"http://{host}:{receiver.port}/", networks=["public"])
    with pytest.raises(Unreachable, match=r"not connected: .* is in no network that may be talked to"):
        await sink.open()
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "host", ["2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "017700000001"]
)
async def test_other_spellings_of_an_address_are_refused_before(host: str) -> None:
    """Even where private networks are allowed: nobody writes them so by accident."""
    with pytest.raises(ValidationError, match="four decimal numbers"):
        WebhookOptions.model_validate({"url": f"http://{host}/"})


@pytest.mark.parametrize("spelling", ["2130706433", "0177.0.0.1", "0x7f000001", "127.1"])
async def test_they_would_be_judged_by_what_they_mean(receiver: Receiver, spelling: str) -> None:
    """The system's resolver understands them; what it finds is what counts."""
    networks = Networks(["public"])
    found = socket.getaddrinfo(spelling, receiver.port, type=socket.SOCK_STREAM)
    assert [networks.allow(str(info[4][0])) for info in found] == [False]


async def test_a_name_that_is_public_first_and_private_later_is_not_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection is judged by its own address. No real resolver changes its mind on demand."""
    answers = ["127.0.0.1", "127.0.0.1", "127.0.0.2"]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "partner.example"
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("eventbus.http.dialling.socket.getaddrinfo", resolve)
    url = f"http://partner.example:{receiver.port}/"
    async with opened(url, networks=["127.0.0.1/32"], keep_alive="0s") as sink:
        assert await send_one(sink) == DELIVERED
        outcome = await send_one(sink)
    assert isinstance(outcome, Retry)
    assert (outcome.fault, outcome.kind) == (Fault.UNAVAILABLE, Failure.NETWORK)
    assert "127.0.0.2 is in no network" in outcome.reason
    assert (len(receiver.posts), receiver.connections) == (1, 1)
    assert receiver.posts[0].headers["host"] == f"partner.example:{receiver.port}"


async def test_of_several_addresses_those_that_are_allowed_are_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (2, 1)]

    monkeypatch.setattr("eventbus.http.dialling.socket.getaddrinfo", resolve)
    with socket.create_server(("127.0.0.2", receiver.port)) as other:
        other.setblocking(False)
        async with opened(f"http://partner.example:{receiver.port}/", networks=["127.0.0.1/32"]) as sink:
            assert await send_one(sink) == DELIVERED
        with pytest.raises(BlockingIOError):
            other.accept()


@pytest.mark.parametrize("network", ["internal", "10.0.0.1/8", "10.0.0.0/33", ""])
async def test_networks_that_are_none(network: str) -> None:
    with pytest.raises(ValidationError, match=r"public, private, or a network such as 10\.1\.0\.0/16"):
        WebhookOptions.model_validate({"url": "http://h/", "networks": [network]})
