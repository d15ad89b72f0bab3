"""Redis as it is run where it must not fail: a cluster of three nodes, a master that a Sentinel watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from eventbus.devservices import RedisSentinelService, RedisService
from eventbus.devservices._ports import free_port

__all__ = ["MASTER", "SENTINEL_PASSWORD", "Cluster", "Watched", "ask"]

MASTER = "cache"
SENTINEL_PASSWORD = "watchword"
_SLOTS = 16384
_PATIENCE_SECS = 60.0


def ask(client: redis.Redis, *words: Any) -> Any:
    """The answer to a command for which the client has no method with a type."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call] # as it is


@dataclass(frozen=True)
class Cluster:
    """Three nodes, each with a third of the slots."""

    nodes: tuple[RedisService, ...]

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Cluster]:
        """Start and join them."""
        ports = [free_port() for _ in range(3)]
        with ExitStack() as stack:
            nodes = tuple(stack.enter_context(RedisService.start(extra_args=_of_a_cluster(p))) for p in ports)
            cluster = cls(nodes)
            cluster._join(ports)
            yield cluster

    @property
    def url(self) -> str:
        """Of the first node."""
        return self.nodes[0].url

    def admin(self, node: int) -> redis.Redis:
        """A client of one node."""
        return redis.Redis.from_url(self.nodes[node].url)

    def ids(self) -> list[str]:
        """How the nodes call themselves."""
        return [str(ask(self.admin(node), "CLUSTER", "MYID").decode()) for node in range(3)]

    def move_slot(self, slot: int, target: int) -> None:
        """Give an empty slot to another node, and tell all of them."""
        owner = self.ids()[target]
        for node in (target, *range(3)):
            ask(self.admin(node), "CLUSTER", "SETSLOT", slot, "NODE", owner)

    def wait_until_whole(self) -> None:
        """Wait until each node knows the others and all is well."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while not all(self._is_whole(node) for node in range(3)):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.02)

    def _join(self, bus_ports: list[int]) -> None:
        for node in range(3):
            first, last = node * _SLOTS // 3, (node + 1) * _SLOTS // 3 - 1
            ask(self.admin(node), "CLUSTER", "ADDSLOTSRANGE", first, last)
            ask(self.admin(node), "CLUSTER", "SET-CONFIG-EPOCH", node + 1)
        for node in (1, 2):
            place = ("127.0.0.1", self.nodes[node].port, bus_ports[node])
            ask(self.admin(0), "CLUSTER", "MEET", *place)
        self.wait_until_whole()

    def _is_whole(self, node: int) -> bool:
        info = ask(self.admin(node), "CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info


def _of_a_cluster(bus_port: int) -> list[str]:
    return [
        *("--cluster-enabled", "yes", "--cluster-port", str(bus_port)),
        *("--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"),
    ]


@dataclass(frozen=True)
class Watched:
    """A master with a replica, and a Sentinel that puts the one in the other's place."""

    master: RedisService
    replica: RedisService
    sentinel: RedisSentinelService

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Watched]:
        """Start them, and wait until the Sentinel knows of both."""
        with (
            RedisService.start(own=True) as master,
            RedisService.start(extra_args=["--replicaof", f"127.0.0.1 {master.port}"]) as replica,
            RedisSentinelService.start(MASTER, master.port, password=SENTINEL_PASSWORD) as sentinel,
        ):
            watched = cls(master, replica, sentinel)
            watched._wait_until_known()
            yield watched

    def _wait_until_known(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECS
        client = redis.Redis(port=self.sentinel.port, password=SENTINEL_PASSWORD)
        while not ask(client, "SENTINEL", "REPLICAS", MASTER):
            assert time.monotonic() < deadline, "the Sentinel did not find the replica"
            time.sleep(0.02)
