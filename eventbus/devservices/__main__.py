"""Runs the services for a developer: `python -m eventbus.devservices mongodb redis kafka nats opensearch`.

Their addresses go to standard output as `export` lines, everything else to standard error.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from eventbus.devservices import (
    DevServiceError,
    KafkaService,
    MongoService,
    NatsService,
    OpenSearchService,
    RedisService,
)
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._fetch_kafka import fetch_kafka
from eventbus.devservices._fetch_mongod import VERSIONS, fetch_mongod
from eventbus.devservices._fetch_nats import fetch_nats
from eventbus.devservices._fetch_opensearch import fetch_opensearch
from eventbus.devservices._fetch_redis import fetch_redis


def main(arguments: Sequence[str] | None = None) -> int:
    """Start or fetch what is named; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m eventbus.devservices", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"{', '.join(_START)}; all by default")
    parser.add_argument("--fetch", action="store_true", help="only fetch the servers into the cache")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.services if name not in _START]
    if unknown:
        parser.error(f"there is no service {unknown[0]!r}; there are {', '.join(_START)}")
    names = options.services or list(_START)
    try:
        return _fetch(names) if options.fetch else _run(names)
    except DevServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _fetch(names: Sequence[str]) -> int:
    failures = 0
    for name in names:
        for fetch in _FETCH[name]:
            try:
                fetch()
            except FetchFailed as error:
                failures += 1
                sys.stderr.write(f"{name} could not be fetched: {error}\n")
    return 1 if failures else 0


def _run(names: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's word for Ctrl-C
    try:
        with ExitStack() as stack:
            for name in names:
                sys.stdout.write(f"export {_START[name](stack)}\n")
                sys.stdout.flush()
            sys.stderr.write("Running; Ctrl-C ends it.\n")
            _wait_for_ctrl_c()
    except KeyboardInterrupt:  # it came while something was starting
        pass
    return 0


def _wait_for_ctrl_c() -> None:
    """Wait for SIGINT or SIGTERM, and keep a second one from breaking into the end of the servers."""
    awaited = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    signal.sigwait(awaited)


def _mongodb(stack: ExitStack) -> str:
    return f"MONGODB_URI='{stack.enter_context(MongoService.start()).uri}'"


def _redis(stack: ExitStack) -> str:
    return f"REDIS_URL='{stack.enter_context(RedisService.start()).url}'"


def _kafka(stack: ExitStack) -> str:
    return f"KAFKA_BOOTSTRAP_SERVERS='{stack.enter_context(KafkaService.start()).bootstrap_servers}'"


def _nats(stack: ExitStack) -> str:
    return f"NATS_URL='{stack.enter_context(NatsService.start()).url}'"


def _opensearch(stack: ExitStack) -> str:
    return f"OPENSEARCH_URL='{stack.enter_context(OpenSearchService.start()).url}'"


_START: Final[Mapping[str, Callable[[ExitStack], str]]] = {
    "mongodb": _mongodb,
    "redis": _redis,
    "kafka": _kafka,
    "nats": _nats,
    "opensearch": _opensearch,
}
_FETCH: Final[Mapping[str, Sequence[Callable[[], object]]]] = {
    "mongodb": [partial(fetch_mongod, version) for version in VERSIONS],
    "redis": [fetch_redis],
    "kafka": [fetch_kafka],
    "nats": [fetch_nats],
    "opensearch": [fetch_opensearch],
}


if __name__ == "__main__":
    sys.exit(main())
