"""What happens between the servers: receivers wait, the daemon runs, the shop works, the judge counts."""

from __future__ import annotations

import base64
import math
import secrets
import signal
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
from aiokafka.errors import KafkaError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from eventbus.demo.configuration import config_files, variables
from eventbus.demo.daemon_process import DaemonProcess
from eventbus.demo.display import Display, Row, Snapshot, complain, say
from eventbus.demo.judgement import judged
from eventbus.demo.ledger import Ledger
from eventbus.demo.receivers import FileReceiver, KafkaReceiver, Receiver, RedisReceiver, WebhookReceiver
from eventbus.demo.servers import Servers
from eventbus.demo.workload import Workload
from eventbus.telemetry.redaction import redact

__all__ = ["Ending", "Play"]

_READY_SECS: Final = 60.0
_READ_SECS: Final = 0.25
_CLEAR_SECS: Final = 10.0


class Ending(IntEnum):
    """How it ended, as an exit code."""

    COMPLETE = 0
    FAILED = 1
    BROKEN_OFF = 130


class Play:
    """One demo; make it inside the event loop.

    Args:
        servers: The servers.
        directory: For the file that is written and for the daemon's log.
        seconds: How long the shop works; None until the first signal.
        rate: The shop's changes a second.
        patience_secs: After how long without anything arriving the rest counts as lost.
    """

    def __init__(
        self,
        servers: Servers,
        directory: Path,
        *,
        seconds: float | None,
        rate: float,
        patience_secs: float = 15.0,
    ) -> None:
        self._patience_secs = patience_secs
        self._servers = servers
        self._seconds = seconds
        self._rate = rate
        self._directory = directory
        self._file = directory / f"{servers.name}.jsonl"
        self._log = directory / "daemon.log"
        self._port = _free_port()
        self._configs = config_files(kafka=servers.kafka is not None)
        self._ledger = Ledger()
        self._receivers: list[Receiver] = []
        self._daemon_is = "starting"
        self._doing = "starting"
        self._failures: list[str] = []
        self._has_begun = False
        self._is_stopping = False
        self._enough = anyio.Event()
        self._finished = anyio.Event()
        self._all = anyio.CancelScope()

    async def run(self) -> Ending:
        """Play it. The first signal ends the shop's work, the second one everything."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._obey_signals)
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._clear)
                with self._all:
                    await self._play(stack)
            tasks.cancel_scope.cancel()
        if self._all.cancelled_caught:
            return self._broken_off("the receivers were complete")
        return self._verdict()

    async def _play(self, stack: AsyncExitStack) -> None:
        try:
            workload, daemon = await self._open(stack)
        except (KafkaError, PyMongoError, RedisError, OSError) as error:
            self._fail(f"The servers could not be used: {redact(str(error))}")
            return
        say(self._where_to_look())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, daemon)
            if await self._is_ready(daemon):
                for receiver in self._receivers:
                    tasks.start_soon(self._keep_reading, receiver)
                tasks.start_soon(self._keep_asking, daemon)
                tasks.start_soon(Display(self._look).show, self._finished)
                await self._work(workload)
                await self._drain()
            await self._stop(daemon)

    async def _open(self, stack: AsyncExitStack) -> tuple[Workload, DaemonProcess]:
        """Bring up everything that the daemon will find, then the daemon."""
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        webhook = WebhookReceiver(secret)
        self._receivers = [webhook, *self._make_readers()]
        for receiver in self._receivers:
            await stack.enter_async_context(receiver)
        client = await stack.enter_async_context(AsyncMongoClient[dict[str, Any]](self._servers.mongo.uri))
        seed = secrets.randbelow(2**32)
        workload = Workload(
            client, self._servers.name, self._ledger, rate=self._rate, shops=_shops_for(self._rate), seed=seed
        )
        await workload.prepare()
        values = variables(
            self._servers, file=self._file, port=self._port, webhook_url=webhook.url, secret=secret
        )
        url = f"http://127.0.0.1:{self._port}"
        daemon = DaemonProcess(self._configs, values, url=url, log=self._log)
        return workload, await stack.enter_async_context(daemon)

    def _make_readers(self) -> list[Receiver]:
        servers = self._servers
        readers: list[Receiver] = [RedisReceiver(servers.redis.url, servers.stream), FileReceiver(self._file)]
        if servers.kafka is not None:
            readers.append(KafkaReceiver(servers.kafka.bootstrap_servers, servers.topics))
        return readers

    def _where_to_look(self) -> Sequence[str]:
        servers = self._servers
        kafka = f"{servers.kafka.bootstrap_servers}  topics {servers.name}.*" if servers.kafka else "off"
        return [
            "",
            f"  MongoDB   {redact(servers.mongo.uri)}  database {servers.name}",
            f"  Redis     {redact(servers.redis.url)}  stream {servers.stream}",
            f"  Kafka     {kafka}",
            f"  File      {self._file}",
            f"  Daemon    http://127.0.0.1:{self._port}/metrics  and /readyz, /livez",
            f"  Its log   {self._log}",
            f"  Config    {'  '.join(map(str, self._configs))}",
            "",
            "Ctrl-C ends the shop's work; the receivers then get the rest.",
            "",
        ]

    async def _is_ready(self, daemon: DaemonProcess) -> bool:
        """Wait until the daemon is ready; False if it ends, takes too long, or nobody wants to wait."""
        with anyio.move_on_after(_READY_SECS) as patience:
            async with anyio.create_task_group() as race:
                race.start_soon(_cancel_after, self._enough, race.cancel_scope)
                await daemon.wait_until_ready()
                self._daemon_is = "ready"
                race.cancel_scope.cancel()
        if patience.cancelled_caught:
            reason = (await daemon.readiness()).reason
            self._fail(f"The daemon was not ready within {_READY_SECS:g} s: {reason}\n{daemon.last_words()}")
        return not self._enough.is_set()

    async def _work(self, workload: Workload) -> None:
        self._doing = "the shop is at work"
        self._has_begun = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_enough, workload)
            try:
                await workload.run(seconds=self._seconds)
            except* PyMongoError as errors:
                self._fail(f"The shop's work ended: {redact(str(errors.exceptions[0]))}")
            tasks.cancel_scope.cancel()

    async def _stop_when_enough(self, workload: Workload) -> None:
        await self._enough.wait()
        workload.stop()

    async def _drain(self) -> None:
        """Wait until every receiver has everything, for as long as they get nearer to it."""
        self._doing = "waiting for the rest to arrive"
        counts: Counter[str] = Counter()
        deadline = anyio.current_time() + self._patience_secs
        while not self._is_complete() and not self._failures and anyio.current_time() < deadline:
            await anyio.sleep(_READ_SECS)
            now = Counter({receiver.name: len(receiver.receipts) for receiver in self._receivers})
            if now != counts:
                counts, deadline = now, anyio.current_time() + self._patience_secs

    def _is_complete(self) -> bool:
        committed = len(self._ledger.committed)
        return all(len(receiver.receipts) >= committed for receiver in self._receivers) and not any(
            self._ledger.check(receiver.receipts).lost for receiver in self._receivers
        )

    async def _stop(self, daemon: DaemonProcess) -> None:
        """End the daemon as an operator would, then let the receivers read what is left."""
        self._doing = "stopping the daemon"
        self._is_stopping = True
        code = await daemon.stop()
        if code != 0 and self._has_begun and not self._failures:  # earlier it may not listen to signals yet
            self._fail(f"The daemon ended with {code} instead of 0:\n{daemon.last_words()}")
        self._doing, self._daemon_is = "done", "stopped"
        self._finished.set()

    async def _watch(self, daemon: DaemonProcess) -> None:
        code = await daemon.ended()
        if not self._is_stopping:
            self._fail(f"The daemon ended by itself, with {code}. Its last words:\n{daemon.last_words()}")

    async def _keep_reading(self, receiver: Receiver) -> None:
        """Read until all is finished, and once more after that."""
        is_last = False
        while not is_last:
            is_last = self._finished.is_set()
            try:
                await receiver.read()
            except (KafkaError, RedisError, OSError) as error:
                if is_last:
                    self._fail(f"The {receiver.name} receiver could not read: {redact(str(error))}")
            with anyio.move_on_after(_READ_SECS):
                await self._finished.wait()

    async def _keep_asking(self, daemon: DaemonProcess) -> None:
        while not self._finished.is_set():
            answer = await daemon.readiness()
            if not self._is_stopping:
                self._daemon_is = str(answer)
            with anyio.move_on_after(1):
                await self._finished.wait()

    def _look(self) -> Snapshot:
        rows = {receiver.name: Row(len(receiver.receipts), receiver.latest) for receiver in self._receivers}
        return Snapshot(len(self._ledger.committed), rows, self._daemon_is, self._doing)

    def _fail(self, text: str) -> None:
        self._failures.append(text)
        self._enough.set()

    async def _clear(self) -> None:
        with anyio.move_on_after(_CLEAR_SECS, shield=True):
            await self._servers.clear()

    async def _obey_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self._enough.is_set():
                    self._all.cancel()
                    continue
                say("Ending, once the rest has arrived; Ctrl-C again breaks it off.")
                self._enough.set()

    def _verdict(self) -> Ending:
        """Say what was found; the last line has a fixed form."""
        judgement = judged(self._ledger, self._receivers)
        complain([*self._failures, *judgement.complaints])
        if not self._has_begun and not self._failures:
            return self._broken_off("the shop opened")
        is_good = judgement.is_good and not self._failures
        if not is_good:
            complain(f"Kept for a look: {self._directory}")
        if self._has_begun:
            operations = self._ledger.operations().most_common()
            say("The shop made " + ", ".join(f"{count} {name}s" for name, count in operations) + ".")
            say(judgement.line)
        return Ending.COMPLETE if is_good else Ending.FAILED

    def _broken_off(self, what: str) -> Ending:
        say(f"Broken off before {what}.")
        return Ending.BROKEN_OFF


async def _cancel_after(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _shops_for(rate: float) -> int:
    """So many that a majority's answer, some 20 ms on a busy machine, does not hold the rate down."""
    return min(max(4, math.ceil(rate / 25)), 32)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
