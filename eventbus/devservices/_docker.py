"""Runs a server in a container, where a Docker engine of this machine answers.

The container shares the host's network, user id and the server's directory at the same path, so that a
server is told the same things as when its program runs here. testcontainers' reaper removes the container
when we are killed. Both packages are optional and slow to import, so they are imported late.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from eventbus.devservices._errors import ServerFailed
from eventbus.devservices._finding import Image
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._server import wait_until_ready

_GRACE_SECS = 10


def engine_answers() -> bool:
    """Tell whether the optional packages are installed and an engine on this machine answers."""
    with _engine() as engine:
        return engine is not None


def find_image(image: Image) -> Image | None:
    """Return the image once the engine has it, pulled if need be; None if that cannot be."""
    with _engine() as engine:
        if engine is None or not _has(engine, image.name):
            return None
    return image


@contextmanager
def _engine() -> Iterator[Any]:
    """Yield a client of the engine, or None.

    An engine elsewhere is no use: its loopback and files are not ours. That is so for a virtual machine's,
    and for the one that runs us in a container, though both have a socket here; so its name has to be ours.
    """
    if not _listens():
        yield None
        return
    try:
        docker: Any = import_module("docker")
        import_module("testcontainers.core.container")
    except ImportError:
        yield None
        return
    with ExitStack() as stack:
        try:
            client = stack.enter_context(closing(docker.from_env()))
            usable = client.info()["Name"] == socket.gethostname()
        except (docker.errors.DockerException, OSError):
            usable = False
        yield client if usable else None


def _has(engine: Any, image: str) -> bool:
    try:
        if not engine.images.list(name=image):
            repository, _, tag = image.partition(":")
            engine.images.pull(repository, tag=tag)
    except (import_module("docker.errors").DockerException, OSError):
        return False
    return True


def _listens() -> bool:
    """Tell, without a slow import, whether something listens where an engine of this machine would."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(host.removeprefix("unix://")) == 0


class ContainerServer:
    """One server in one container."""

    def __init__(
        self,
        directory: KeptDirectory,
        image: Image,
        arguments: Sequence[str],
        *,
        ready: str,
        start_timeout_secs: float,
    ) -> None:
        """Prepare a server; nothing runs yet. The arguments are those of LocalServer."""
        self._directory = directory
        self._image = image
        self._arguments = list(arguments)
        self._ready = ready
        self._start_timeout_secs = start_timeout_secs
        self._made: Any = None  # testcontainers' container
        self._closed = False

    @property
    def directory(self) -> Path:
        return self._directory.path

    @property
    def pid(self) -> int:
        self._container.reload()
        return int(self._container.attrs["State"]["Pid"])

    @property
    def running(self) -> bool:
        if self._made is None:
            return False
        self._container.reload()
        return self._container.status in {"running", "paused"}

    def log(self) -> str:
        if self._made is None:
            return ""
        return bytes(self._container.logs()).decode(errors="replace")

    def start(self) -> None:
        name, timeout_secs = self._directory.name, self._start_timeout_secs
        if self._closed:
            raise ServerFailed(f"{name} has been stopped, and its data removed.")
        said_before = len(self.log())
        try:
            if self._made is None:
                self._made = self._new_container()
                self._made.start()
            else:
                self._container.start()
        except (import_module("docker.errors").DockerException, OSError) as error:
            raise ServerFailed(f"Docker could not start {name}: {error}") from error
        wait_until_ready(self, name, self._ready, said_before=said_before, timeout_secs=timeout_secs)

    def kill(self) -> None:
        if self.running:
            self._container.kill()
            self._container.wait()

    def terminate(self) -> None:
        if self.running:
            self.resume()
            self._container.stop(timeout=_GRACE_SECS)

    def pause(self) -> None:
        self._container.pause()

    def resume(self) -> None:
        if self._container.status == "paused":
            self._container.unpause()

    def close(self) -> None:
        made, self._made, self._closed = self._made, None, True
        if made is not None:
            made.stop()
        self._directory.close()

    @property
    def _container(self) -> Any:
        if self._made is None:
            raise ServerFailed(f"{self._directory.name} does not run.")
        return self._made.get_wrapped_container()

    def _new_container(self) -> Any:
        container: Any = import_module("testcontainers.core.container")
        path = str(self._directory.path)
        return (
            container.DockerContainer(self._image.name)
            .with_command([*self._image.argv[1:], *self._arguments])
            .with_volume_mapping(path, path, mode="rw")
            .with_kwargs(
                entrypoint=[self._image.argv[0]],
                network="host",
                user=f"{os.getuid()}:{os.getgid()}",
                working_dir=path,
            )
        )
