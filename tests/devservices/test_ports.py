"""Ports that a server can come back to."""

from __future__ import annotations

import socket
from pathlib import Path

from eventbus.devservices._errors import PortTaken
from eventbus.devservices._ports import free_port, on_a_free_port


def test_a_port_is_free_and_below_the_range_of_outgoing_connections() -> None:
    """Else a client that keeps dialling a dead server may be given its port."""
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(20):
        port = free_port()
        assert 1024 <= port < lowest_outgoing
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_port_that_was_taken_meanwhile_is_replaced() -> None:
    """Two suites on one machine may choose the same port; both must start."""
    tried: list[int] = []

    def start(port: int) -> int:
        tried.append(port)
        if len(tried) < 3:
            raise PortTaken("taken")
        return port

    assert on_a_free_port(start) == tried[2]
    assert len(tried) == 3
