"""A Docker engine with the few calls we make, which runs "containers" as processes of this machine.

It stands where no engine can be had: it shows that testcontainers asks for what we mean, and that a server
started this way is killed, halted, restarted and removed. It shows nothing about a real engine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socketserver
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import gethostname
from typing import Any

Reply = tuple[int, Any]


@dataclass
class Container:
    """What was asked for, and the process that stands for it."""

    request: dict[str, Any]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    paused: bool = False

    @property
    def state(self) -> str:
        if self.process is None:
            return "created"
        if self.process.poll() is not None:
            return "exited"
        return "paused" if self.paused else "running"


@dataclass
class Engine:
    """The engine's images, containers, and a record of what was removed."""

    directory: Path
    programs: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]]
    pullable: frozenset[str]
    hostname: str = field(default_factory=gethostname)
    images: set[str] = field(default_factory=set)
    containers: dict[str, Container] = field(default_factory=dict)
    removed: list[Container] = field(default_factory=list)

    def answer(self, method: str, path: str, query: str, body: dict[str, Any]) -> Reply:
        """Route one request; the version prefix is gone already."""
        if match := re.fullmatch(r"/containers/(c\d+)(?:/(\w+))?", path):
            verb = match[2] or {"GET": "json", "DELETE": "remove"}[method]
            action: Callable[[str, Container], Reply] = getattr(self, f"_{verb}")
            return action(match[1], self.containers[match[1]])
        if path == "/version":
            return 200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "fake"}
        if path == "/info":
            return 200, {"Name": self.hostname}
        if path == "/containers/create":
            name = f"c{len(self.containers) + len(self.removed)}"
            self.containers[name] = Container(body, self.directory / f"{name}.log")
            return 201, {"Id": name, "Warnings": []}
        return self._image(method, path, query)

    def _image(self, method: str, path: str, query: str) -> Reply:
        if path == "/images/json":
            return 200, [{"Id": name} for name in self.images if name.replace(":", "%3A") in query]
        if path == "/images/create":
            name = ":".join(re.findall(r"(?:fromImage|tag)=([\w./-]+)", query.replace("%2F", "/"))[::-1])
            name = name if name in self.pullable else ":".join(name.split(":")[::-1])
            if name not in self.pullable:
                return 404, {"message": f"there is no {name}"}
            self.images.add(name)
            return 200, {}
        name = path.removeprefix("/images/").removesuffix("/json")
        return (200, {"Id": name}) if name in self.images else (404, {"message": f"no image {name}"})

    def _json(self, name: str, container: Container) -> Reply:
        pid = container.process.pid if container.process else 0
        state = {"Status": container.state, "Pid": pid}
        return 200, {"Id": name, "State": state, "Config": {"Tty": False}, "HostConfig": {}}

    def _start(self, _name: str, container: Container) -> Reply:
        request = container.request
        argv, environment = self.programs[request["Entrypoint"][0]]
        with container.log.open("ab") as log:
            container.process = subprocess.Popen(
                [*argv, *request["Cmd"]],
                cwd=request["WorkingDir"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        return 204, None

    def _kill(self, _name: str, container: Container) -> Reply:
        return self._signal(container, signal.SIGKILL)

    def _stop(self, _name: str, container: Container) -> Reply:
        self._signal(container, signal.SIGTERM)
        return self._wait(_name, container)

    def _pause(self, _name: str, container: Container) -> Reply:
        container.paused = True
        return self._signal(container, signal.SIGSTOP)

    def _unpause(self, _name: str, container: Container) -> Reply:
        container.paused = False
        return self._signal(container, signal.SIGCONT)

    def _wait(self, _name: str, container: Container) -> Reply:
        return 200, {"StatusCode": container.process.wait(20) if container.process else 0}

    def _logs(self, _name: str, container: Container) -> Reply:
        text = container.log.read_bytes() if container.log.exists() else b""
        return 200, struct.pack(">BxxxL", 1, len(text)) + text  # one frame of the multiplexed stream

    def _remove(self, name: str, container: Container) -> Reply:
        if container.process:
            self._signal(container, signal.SIGKILL)
            container.process.wait(20)
        self.removed.append(self.containers.pop(name))
        return 204, None

    def _signal(self, container: Container, number: signal.Signals) -> Reply:
        assert container.process is not None
        container.process.send_signal(number)
        return 204, None


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """Serve the engine on a socket in its directory; yields the value for DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            path, _, query = re.sub(r"^/v\d\.\d+", "", self.path).partition("?")
            status, answer = engine.answer(self.command, path, query, body)
            data = (
                answer
                if isinstance(answer, bytes)
                else b""
                if answer is None
                else json.dumps(answer).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815  names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            pass

    socket = engine.directory / "engine.sock"
    with socketserver.ThreadingUnixStreamServer(str(socket), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"unix://{socket}"
        finally:
            server.shutdown()
            thread.join()
            for name, container in list(engine.containers.items()):
                engine._remove(name, container)
