"""A real Kafka: one KRaft node, broker and controller in one JVM."""

from __future__ import annotations

import base64
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from eventbus.devservices._docker import engine_answers
from eventbus.devservices._fetch_kafka import KAFKA_VERSION, fetch_kafka, kafka_is_cached
from eventbus.devservices._finding import Address, Finders, Image, Ours, Program, find, find_ours
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import finders, launch
from eventbus.devservices._ports import free_port, on_a_free_port
from eventbus.devservices._server import Server
from eventbus.devservices._service import Service

VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
_REMEDY = "install Java 17 and Maven, or set KAFKA_BOOTSTRAP_SERVERS to a broker's address"
_READY = "Kafka Server started"
_JVM = (
    *("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says when it is ready
)
_SCRIPT = """\
data=$1 properties=$2 cluster=$3 users=$4
shift 4
if [ ! -f "$data/meta.properties" ]; then
    "$@" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool \\
        format --cluster-id="$cluster" -c "$properties" $users || exit
fi
exec "$@" kafka.Kafka "$properties"
"""  # a fresh data directory has to be formatted by Kafka's own tool, wherever Kafka runs


class KafkaService(Service):
    """A running Kafka broker that forgets a killed self within two seconds."""

    def __init__(
        self, bootstrap_servers: str, servers: Sequence[Server], listeners: Mapping[str, int] | None = None
    ) -> None:
        """Take over what `start` has found or started."""
        super().__init__(servers, variable=VARIABLE)
        self.bootstrap_servers = bootstrap_servers
        self.listeners = dict(listeners or {})
        """The ports of further listeners, by their names."""
        self.port = int(bootstrap_servers.split(",", maxsplit=1)[0].rpartition(":")[2])

    @classmethod
    def start(
        cls,
        *,
        extra_properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
        own: bool = False,
    ) -> Self:
        """Find or fetch Kafka and run it.

        Args:
            extra_properties: further lines of server.properties; they make it our own broker, whatever
                KAFKA_BOOTSTRAP_SERVERS says.
            listeners: further listeners: the protocol of each, such as SASL_SSL, by its name.
            scram_users: passwords for SCRAM by names of users; nothing in them that a shell would split.
            own: never use the one that KAFKA_BOOTSTRAP_SERVERS names: for a test that kills it.

        Raises:
            Unavailable: it cannot be had on this machine.
            ServerFailed: it did not start.
        """
        look = find_ours if own or extra_properties or listeners or scram_users else find
        found = look(kafka_finders(), server="Kafka", remedy=_REMEDY)
        if isinstance(found, Address):
            return cls(found.url, ())
        ports = {name: free_port() for name in listeners or {}}

        def start(port: int) -> tuple[int, Server]:
            own = _with_listeners(_properties(port), listeners or {}, ports) | dict(extra_properties or {})
            return port, _start(found, own, scram_users or {})

        port, server = on_a_free_port(start)
        return cls(f"127.0.0.1:{port}", (server,), ports)


def kafka_finders() -> Finders:
    """Return the places to look for Kafka."""
    return finders(
        variable=VARIABLE,
        image=Image(f"apache/kafka:{KAFKA_VERSION}", ("java", "-cp", "/opt/kafka/libs/*")),
        path=_on_path,
        fetch=fetch_kafka,
    )


def kafka_available() -> bool:
    """Tell whether `KafkaService.start` has a chance, without starting or fetching anything.

    A promise it is not: Maven may be there and its repository out of reach.
    """
    places = kafka_finders()
    if places.address() or places.path() or engine_answers():
        return True
    return shutil.which("java") is not None and (kafka_is_cached() or shutil.which("mvn") is not None)


def _on_path() -> Program | None:
    """Find an unpacked Kafka by its start script, and run its jars without the script's shells."""
    script = shutil.which("kafka-server-start.sh") or shutil.which("kafka-server-start")
    java = shutil.which("java")
    if script is None or java is None:
        return None
    libraries = Path(script).resolve().parent.parent / "libs"
    return Program((java, "-cp", str(libraries / "*"))) if libraries.is_dir() else None


def _with_listeners(
    lines: dict[str, str], listeners: Mapping[str, str], ports: Mapping[str, int]
) -> dict[str, str]:
    """The lines of server.properties, with further listeners in them."""
    for name, protocol in listeners.items():
        place = f",{name}://127.0.0.1:{ports[name]}"
        lines["listeners"] += place
        lines["advertised.listeners"] += place
        lines["listener.security.protocol.map"] += f",{name}:{protocol}"
    return lines


def _scram(users: Mapping[str, str]) -> str:
    """Arguments of the tool that formats a data directory, which makes the first users."""
    return " ".join(
        f"--add-scram {mechanism}=[name={name},password={password}]"
        for name, password in users.items()
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    )


def _start(found: Ours, lines: Mapping[str, str], scram_users: Mapping[str, str]) -> Server:
    directory = KeptDirectory("kafka")
    properties = directory.path / "server.properties"
    lines = {**lines, "log.dirs": str(directory.data)}
    properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    program = replace(found, argv=("sh", "-c", _SCRIPT, "kafka"))
    return launch(
        directory,
        program,
        [str(directory.data), str(properties), cluster, _scram(scram_users), *found.argv, *_JVM],
        ready=_READY,
    )


def _properties(port: int) -> dict[str, str]:
    controller_port = free_port()
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "400",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
