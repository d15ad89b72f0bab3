"""Throughput of the daemon, end to end, into each sink, beside loops that anybody would write.

    python -m benchmarks.throughput [--events N] [--runs N] [--json FILE] [CASE…]

Everything is real: a mongod, a broker, a Redis and a receiver of its own, the daemon and every loop a process
of its own. All read the same changes from the same oplog. The cases alternate, run by run, since the machine
is shared and noisy; what counts is the ratio within one invocation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from bson import Timestamp

from benchmarks.throughput.measure import Result, follow, medians
from benchmarks.throughput.workload import COLLECTION, DATABASE, make
from eventbus import __version__
from eventbus.devservices import KafkaService, MongoService, RedisService

_SETTLED = re.compile(r"^eventbus_events_settled_total{[^}]*delivered[^}]*} (\S+)$", re.MULTILINE)
_BASELINE_OF = {"discard": "raw-bsonjs", "kafka": "kafka-loop", "webhook": "webhook-loop"}


@dataclass(frozen=True, slots=True)
class Servers:
    """Where everything is."""

    mongodb: str
    kafka: str
    redis: str
    webhook: str


def sinks(servers: Servers, directory: Path, run: int) -> dict[str, Mapping[str, Any]]:
    """One of each kind, with a target of its own for each run."""
    webhook = {"type": "webhook", "url": servers.webhook}
    return {
        "discard": {"type": "discard"},
        "file": {"type": "file", "path": str(directory / f"orders-{run}.jsonl")},
        "redis": {"type": "redis", "url": servers.redis, "mode": "stream", "stream": f"orders-{run}"},
        "kafka": {"type": "kafka", "bootstrap_servers": servers.kafka, "topic": f"orders-{run}"},
        "webhook": {**webhook, "concurrency": 64},
        "webhook-100": {**webhook, "body": "array", "max_batch": 100},
    }


CASES: dict[str, tuple[str, ...]] = {
    "discard": ("discard",),
    "file": ("file",),
    "redis": ("redis",),
    "kafka": ("kafka",),
    "webhook": ("webhook",),
    "webhook-100": ("webhook-100",),
    "kafka+redis+file": ("kafka", "redis", "file"),
}
SHARE = {"webhook": 10, "webhook-loop": 10}
"""Cases so slow that they get only so small a part of the events."""


def daemon(servers: Servers, case: str, run: int, events: int) -> Result:
    """One run of the daemon."""
    with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
        declared = sinks(servers, Path(directory), run)
        names = CASES[case]
        config = {
            "mongodb": {"uri": servers.mongodb},
            "state": {"type": "sqlite", "path": f"{directory}/state.db"},
            "server": {"port": 0},
            "log": {"level": "info", "format": "json"},
            "sinks": {name: declared[name] for name in names},
            "subscriptions": {
                "orders": {
                    "source": {"database": DATABASE, "collections": [COLLECTION]},
                    "start": "oldest",
                    "routes": list(names),
                }
            },
        }
        path, log = Path(directory, "eventbus.yaml"), Path(directory, "daemon.log")
        path.write_text(yaml.safe_dump(config))
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "eventbus", "run", "-c", str(path)], stdout=said, stderr=said
            )
        try:
            url = f"http://127.0.0.1:{_port(process, log)}/metrics"
            total = events // SHARE.get(case, 1)
            return follow(process.pid, lambda: _settled(url, len(names)), total)
        finally:
            process.terminate()
            process.wait(60)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(600):
        found = re.search(r'"port":\s*(\d+)', log.read_text())
        if found:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the daemon did not start:\n{log.read_text()[-2000:]}")


def _settled(url: str, routes: int) -> int:
    """How many events the slowest of the routes has delivered."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        counts = [int(float(count)) for count in _SETTLED.findall(answer.read().decode())]
    return min(counts, default=0) if len(counts) == routes else 0


def baseline(servers: Servers, name: str, start: Timestamp, events: int) -> Result:
    """One run of a loop."""
    target = {"kafka-loop": [servers.kafka], "webhook-loop": [servers.webhook]}.get(name, [])
    total = events // SHARE.get(name, 1)
    arguments = [servers.mongodb, str(start.time), str(start.inc), str(total), *target]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.throughput.baselines", name, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Result(**json.loads(done.stdout))


@contextmanager
def servers_for(events: int, names: frozenset[str]) -> Iterator[tuple[Servers, Timestamp]]:
    """All servers that the cases need, and the changes in the oplog."""
    with ExitStack() as stack:
        mongo = stack.enter_context(MongoService.start(own=True, oplog_mb=max(512, events // 500)))
        needs_kafka = any("kafka" in name for name in names)
        needs_redis = any("redis" in name for name in names)
        kafka = stack.enter_context(KafkaService.start(own=True)).bootstrap_servers if needs_kafka else ""
        redis = stack.enter_context(RedisService.start(own=True)).url if needs_redis else ""
        receiver = stack.enter_context(
            subprocess.Popen([sys.executable, "-m", "benchmarks.throughput.receiver"], stdout=subprocess.PIPE)
        )
        stack.callback(receiver.kill)
        assert receiver.stdout is not None
        webhook = f"http://127.0.0.1:{int(receiver.stdout.readline())}/events"
        yield Servers(mongo.uri, kafka, redis, webhook), make(mongo.uri, events)


def main(arguments: argparse.Namespace) -> None:
    chosen = arguments.case or list(CASES)
    names = [*dict.fromkeys(_BASELINE_OF[case] for case in chosen if case in _BASELINE_OF), *chosen]
    if not arguments.case:
        names = ["watch", "decode-orjson", *names]
    runs: dict[str, list[Result]] = {name: [] for name in names}
    with servers_for(arguments.events, frozenset(names)) as (servers, start):
        for run in range(arguments.runs):
            for name in names:
                if name in CASES:
                    result = daemon(servers, name, run * len(names) + names.index(name), arguments.events)
                else:
                    result = baseline(servers, name, start, arguments.events)
                runs[name].append(result)
                print(f"run {run + 1}: {name:18} {result.per_sec:>9,.0f}/s", file=sys.stderr, flush=True)
    _print(runs)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_report(arguments.events, runs), indent=2) + "\n")


def _print(runs: Mapping[str, list[Result]]) -> None:
    """A table of medians, spreads, and ratios to the loop that does the same."""
    print(f"{'case':18} {'events/s':>10} {'spread':>8} {'µs CPU':>8} {'peak MB':>8} {'to its loop':>12}")
    middle = {name: medians(of_name) for name, of_name in runs.items()}
    for name, result in middle.items():
        rates = [run.per_sec for run in runs[name]]
        spread = (max(rates) - min(rates)) / result.per_sec
        other = middle.get(_BASELINE_OF.get(name, ""))
        ratio = f"{result.per_sec / other.per_sec:>12.2f}" if other is not None else ""
        print(
            f"{name:18} {result.per_sec:>10,.0f} {spread:>7.0%} {result.cpu_us:>8.1f} "
            f"{result.peak_mb:>8.0f} {ratio}"
        )


def _report(events: int, runs: Mapping[str, list[Result]]) -> dict[str, Any]:
    return {
        "events": events,
        "eventbus": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "cases": {
            name: {
                "median": medians(of_name).as_dict(),
                "runs": [run.as_dict() for run in of_name],
            }
            for name, of_name in runs.items()
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("case", nargs="*", choices=[*CASES, []])
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    main(parser.parse_args())
