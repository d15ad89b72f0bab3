"""A real redis-server: started, killed, halted, brought back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from eventbus.devservices import NotOurs, RedisService, ServerFailed
from eventbus.devservices._ports import free_port
from eventbus.devservices.redis import _start, redis_finders

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def service() -> Iterator[RedisService]:
    with RedisService.start(own=True) as service:
        yield service


@pytest.fixture
def client(service: RedisService) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(service.url, socket_timeout=1.0) as client:
        yield client


def test_it_answers_at_its_url(service: RedisService, client: redis.Redis) -> None:
    """The address is on loopback and names the port."""
    assert client.ping()
    assert service.url == f"redis://127.0.0.1:{service.port}/0"
    assert service.running
    assert Path(f"/proc/{service.pid}").exists()


def test_data_survives_a_restart_and_a_kill(service: RedisService, client: redis.Redis) -> None:
    """The same port and data, a new process."""
    client.set("kept", "1")
    before = service.pid
    service.restart()
    assert (client.get("kept"), service.pid != before) == (b"1", True)
    service.kill()
    assert not service.running
    with pytest.raises(redis.ConnectionError):
        client.ping()
    service.restart()
    assert client.get("kept") == b"1"


def test_terminate_leaves_the_data_for_a_restart(service: RedisService, client: redis.Redis) -> None:
    """A server that is down for a while comes back as it was."""
    client.set("kept", "2")
    service.terminate()
    assert not service.running
    service.restart()
    assert client.get("kept") == b"2"


def test_a_paused_server_accepts_and_does_not_answer(service: RedisService, client: redis.Redis) -> None:
    """What a network that swallows packets looks like; it goes on after resume."""
    service.pause()
    assert service.running
    with (
        redis.Redis.from_url(service.url, socket_timeout=0.2) as impatient,
        pytest.raises(redis.TimeoutError),
    ):
        impatient.ping()
    service.resume()
    assert client.ping()


def test_a_paused_server_can_be_stopped() -> None:
    """A test that fails while its server is halted must not hang its clean-up."""
    service = RedisService.start(own=True)
    service.pause()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 5


def test_stop_removes_process_and_data_and_may_be_repeated() -> None:
    """Nothing is left, and what was stopped says so."""
    service = RedisService.start(extra_args=("--maxclients", "50"), own=True)
    pid = service.pid
    data = service.data_dir
    assert data.exists()
    service.stop()
    service.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert not data.parent.exists()
    with pytest.raises(ServerFailed, match="redis has been stopped"):
        service.restart()


def test_two_services_do_not_share_anything(service: RedisService, client: redis.Redis) -> None:
    """Each start is a server of its own."""
    with RedisService.start(own=True) as other, redis.Redis.from_url(other.url) as theirs:
        assert other.port != service.port
        client.set("mine", "1")
        assert theirs.get("mine") is None


def test_a_taken_port_is_told_from_other_failures(service: RedisService) -> None:
    """Only the first is worth another try on another port."""
    found = redis_finders().path() or redis_finders().fetch()
    with pytest.raises(ServerFailed, match="in use") as caught:
        _start(found, service.port, ())
    assert type(caught.value).__name__ == "PortTaken"
    with pytest.raises(ServerFailed, match="no-such-option") as caught:
        _start(found, free_port(), ("--no-such-option", "1"))
    assert type(caught.value) is ServerFailed


def test_a_server_that_somebody_else_runs_is_used_and_left_alone(
    service: RedisService, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REDIS_URL wins, and nothing here may end or halt what it names."""
    monkeypatch.setenv("REDIS_URL", service.url)
    with RedisService.start() as theirs:
        assert (theirs.url, theirs.port, theirs.external) == (service.url, service.port, True)
        for forbidden in (theirs.kill, theirs.terminate, theirs.pause, theirs.resume, theirs.restart):
            with pytest.raises(NotOurs, match="REDIS_URL names"):
                forbidden()
    assert client.ping()
    with RedisService.start(own=True) as ours:
        assert ours.url != service.url
