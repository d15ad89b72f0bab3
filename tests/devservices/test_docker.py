"""The Docker path, against a fake engine: what we ask of one, and how we live with its absence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from eventbus.devservices import RedisService, ServerFailed
from eventbus.devservices._docker import engine_answers, find_image
from eventbus.devservices._finding import Image
from eventbus.devservices.redis import redis_finders
from tests.devservices.fake_engine import Engine, serving

IMAGE = Image("redis:7.2", ("redis-server",))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that can pull one image, and knows no reaper."""
    pytest.importorskip("testcontainers")
    program = redis_finders().path() or redis_finders().fetch()
    engine = Engine(tmp_path, {"redis-server": (program.argv, program.environment)}, frozenset({IMAGE.name}))
    with serving(engine) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        yield engine


def test_without_an_engine_docker_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, a remote engine, one of a virtual machine, a socket nobody serves: look elsewhere."""
    silent = tmp_path / "silent.sock"
    with serving(Engine(tmp_path, {}, frozenset())):
        (tmp_path / "engine.sock").rename(silent)
    with serving(Engine(tmp_path, {}, frozenset({IMAGE.name}), hostname="a-virtual-machine")) as elsewhere:
        for host in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1", f"unix://{silent}", elsewhere):
            monkeypatch.setenv("DOCKER_HOST", host)
            assert not engine_answers()
            assert find_image(IMAGE) is None


@pytest.mark.services
def test_an_image_that_cannot_be_pulled_is_not_found(engine: Engine) -> None:
    """An engine without a registry within reach is no reason to fail: PATH and the cache come next."""
    assert engine_answers()
    assert find_image(Image("redis:0.1", ("redis-server",))) is None
    assert find_image(IMAGE) == IMAGE
    assert engine.images == {IMAGE.name}
    assert redis_finders().docker() == IMAGE


@pytest.mark.services
def test_a_container_shares_network_user_and_directory_with_us(engine: Engine) -> None:
    """So that ports, data and key files mean the same inside."""
    with RedisService.start(own=True) as service:
        (container,) = engine.containers.values()
        request, directory = container.request, service.data_dir.parent
        assert request["Image"] == IMAGE.name
        assert request["Entrypoint"] == ["redis-server"]
        assert request["Cmd"][:4] == ["--bind", "127.0.0.1", "--port", str(service.port)]
        assert request["HostConfig"]["NetworkMode"] == "host"
        assert request["HostConfig"]["Binds"] == [f"{directory}:{directory}:rw"]
        assert request["User"].count(":") == 1
    assert (engine.removed, directory.exists()) == ([container], False)


@pytest.mark.services
def test_a_container_is_killed_halted_and_restarted_like_a_process(engine: Engine) -> None:
    """The same service, whatever runs it."""
    with (
        RedisService.start(own=True) as service,
        redis.Redis.from_url(service.url, socket_timeout=0.5) as client,
    ):
        client.set("kept", "1")
        (container,) = engine.containers.values()
        assert container.process
        assert (pid := service.pid) == container.process.pid
        service.kill()
        assert container.state == "exited"
        service.restart()
        assert (client.get("kept"), service.pid != pid) == (b"1", True)
        service.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        service.restart()
        assert client.get("kept") == b"1"
    with pytest.raises(ServerFailed, match="has been stopped"):
        service.restart()


@pytest.mark.services
def test_a_container_that_ends_while_starting_shows_its_last_words(engine: Engine) -> None:
    """As a process does, and nothing is left of it."""
    with pytest.raises(ServerFailed, match="no-such-option"):
        RedisService.start(extra_args=("--no-such-option", "1"))
    assert (len(engine.containers), len(engine.removed)) == (0, 1)
