"""The whole daemon from one configuration: servers checked, subscriptions supervised, signals obeyed."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from typing import Any, Never

import anyio
import structlog

from eventbus import __version__
from eventbus.administration.seen import subscriptions_seen
from eventbus.api.reach import Installation
from eventbus.api.server import Health, admin_server
from eventbus.api.service_manager import ServiceManager
from eventbus.assembly import shared_sinks, spec_of
from eventbus.config import Config
from eventbus.core.backoff import until_reachable
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.notices import Desk
from eventbus.reloading.beside import ReloadsBeside
from eventbus.reloading.files import ConfigFiles
from eventbus.reloading.fleet import Fleet
from eventbus.reloading.outcome import ReloadOutcome
from eventbus.reloading.reloader import Reloader
from eventbus.reloading.turnover import publish_versions
from eventbus.reloading.watching import watch
from eventbus.runtime.operations import run_alone
from eventbus.runtime.retention import keep_purging
from eventbus.runtime.saver import Saver
from eventbus.runtime.supervisor import Supervisor
from eventbus.servers import (
    make_store,
    open_client,
    open_source,
    open_store,
    open_stream_client,
    source_of,
)
from eventbus.sources.mongodb.collections import MongoCollections
from eventbus.sources.mongodb.heartbeat import keep_beating
from eventbus.state.access import Access
from eventbus.state.operations import Operation
from eventbus.telemetry import metrics
from eventbus.telemetry.logs import configure_logs
from eventbus.telemetry.loop_delay import keep_measuring
from eventbus.telemetry.notices import heard_by
from eventbus.telemetry.progress import Progress
from eventbus.tracing import traced

__all__ = ["Daemon", "run_daemon", "run_operation"]

log = structlog.get_logger("eventbus.daemon")

_STUCK_SECS = 60.0
"""If the saver has not begun a round for so long, the process is beyond help from inside."""

_CLOSE_SECS = 5.0
"""How long connections may take to close, beyond the drain and the last save."""

_LAST_NOTICES_SECS = 2.0
"""How long notices may take to go out once everything has drained."""

_COLLECTIONS = (10_000, 20, 50)
"""Thresholds of the garbage collector. Events come and go by the thousand, and none of them is garbage."""


def run_daemon(files: ConfigFiles) -> int:
    """Run until a signal ends it.

    Args:
        files: The configuration.

    Returns:
        The process's exit code: 0 after a drain, 2 if a server refuses the configuration.
    """
    config = files.load()
    configure_logs(config.log.level, config.log.format, config.log.levels)
    uvloop = find_spec("uvloop") is not None
    _spare_what_stays()
    return anyio.run(Daemon(config, files).run, backend_options={"use_uvloop": uvloop})


def _spare_what_stays() -> None:
    """Have the garbage collector pass over what is there for good; to look at it takes 50 ms each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


async def run_operation(config: Config, operation: Operation) -> None:
    """Run an operation that the daemon leaves to a command, by the routes and sinks of a configuration.

    It goes on where an earlier run has stopped, and returns once it is stored that it is over.

    Raises:
        ConfigurationError: The configuration does not have its subscription, or another process runs it.
        Unreachable: The state store is away.
    """
    configure_logs(config.log.level, config.log.format, config.log.levels)
    if operation.subscription not in config.subscriptions:
        raise ConfigurationError(f"the configuration has no subscription {operation.subscription!r}")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_stream_client(config))
        source = source_of(config, operation.subscription, client)
        store = await stack.enter_async_context(open_store(config, access=Access.OPERATE))
        sinks = shared_sinks(config)
        for sink in sinks.values():
            stack.push_async_callback(sink.close)
        spec = spec_of(
            config,
            operation.subscription,
            source,
            sinks,
            drain_timeout_secs=config.daemon.drain_timeout,
            collections=MongoCollections(client),
        )
        stack.push_async_callback(spec.close)
        saver = Saver(store, lease_secs=config.daemon.lease, every_secs=config.daemon.checkpoint_every)
        await run_alone(operation, spec, store, saver, lease_secs=config.daemon.lease)


class Daemon:
    """One process's work.

    Args:
        config: What to do first.
        files: Where that came from, and where another configuration may come from.
    """

    def __init__(self, config: Config, files: ConfigFiles) -> None:
        self._config = config
        self._files = files
        self._store = make_store(config)
        self._saver = Saver(
            self._store, lease_secs=config.daemon.lease, every_secs=config.daemon.checkpoint_every
        )
        self._progress = Progress(margin_secs=config.daemon.stuck_after)
        self._desk = Desk(config.daemon.instance)
        self._supervisor: Supervisor | None = None
        self._reloader: Reloader | None = None
        self._reloads = ReloadsBeside(self._reload)
        self._waiting_for: str | None = "starting"
        self._last_resort: asyncio.TimerHandle | None = None
        self._service_manager = ServiceManager(os.environ)

    async def run(self) -> int:
        """Serve, check, carry; until a signal.

        Returns:
            The exit code: 1 if the last positions could not be written.
        """
        metrics.build_info(__version__)
        for declared in self._config.subscriptions.values():
            publish_versions(declared)
            metrics.lease_held(declared.name, held=False)  # or nobody would miss one that never had its lease
        metrics.config_loaded(time.time())
        try:
            with self._progress.heard(), heard_by(self._desk.outbox), traced(self._config):
                await self._run()
        except (ConfigurationError, ExceptionGroup) as error:
            refused, rest = _split(error)
            if rest is not None:
                raise rest from None
            for problem in refused:
                sys.stderr.write(f"{problem}\n")
            return 2
        finally:
            if self._last_resort is not None:
                self._last_resort.cancel()
        return 1 if self._saver.unsaved else 0

    async def _run(self) -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._obey_signals, tasks.cancel_scope)
            tasks.start_soon(self._service_manager.keep_alive, self.live)
            server = self._config.server
            async with admin_server(server, self._installation(), live=self.live, ready=self.ready):
                await self._carry()
            tasks.cancel_scope.cancel()

    def _installation(self) -> Installation:
        """What the admin API is about, and how it opens what it needs beside us."""
        return Installation(
            config=lambda: self._config,
            seen=lambda: subscriptions_seen(self.ready().detail),
            store=partial(open_store, access=Access.OPERATE),
            source=open_source,
            client=lambda config: open_client(config.mongodb, "status", 1, config.read_preference),
            reloads=self,
            written=self._files.read,
        )

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`."""
        if self._reloader is None:
            reason = f"it has not started yet ({self._waiting_for}): restart it, or reload when it is ready"
            return ReloadOutcome("refused", problems=[reason])
        return await self._reloads.reload()

    async def _reload(self) -> ReloadOutcome:
        assert self._reloader is not None
        self._service_manager.reloading()
        outcome = await self._reloader.reload()
        self._config = self._reloader.config
        self._say_ready()
        return outcome

    def live(self) -> Health:
        """Whether the process should be left alone: the loop answers, and every task makes progress."""
        if self._supervisor is None:
            return Health(ok=True)
        now = anyio.current_time()
        silent_secs = now - self._saver.ticked_at
        stuck = self._progress.missing(now)
        if silent_secs >= _STUCK_SECS + 2 * self._saver.round_secs and not stuck:
            stuck = ["the saver has begun no round in time"]
        return Health(not stuck, {"saver_silent_secs": round(silent_secs, 1), "stuck": stuck})

    def ready(self) -> Health:
        """Whether every subscription runs, or stands by for another daemon, and lacks nothing."""
        if self._supervisor is None:
            return Health(ok=False, detail={"waiting_for": self._waiting_for})
        statuses = self._supervisor.statuses()
        detail = {
            status.name: {
                "state": status.state,
                "problems": list(status.problems),
                "tolerated": list(status.tolerated),
                "circuits": status.circuits,
                "paused": status.paused,
                "snapshots": status.snapshots,
                "headroom": status.headroom,
                "watermarks": status.watermarks,
            }
            for status in statuses
        }
        return Health(all(status.is_ready for status in statuses), {"subscriptions": detail})

    async def _carry(self) -> None:
        async with AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(Fleet(self._config))
            first = await fleet.begin(self._config, self._config.subscriptions)
            await self._patiently(lambda: fleet.check(first))
            stack.push_async_callback(self._store.close)
            await self._patiently(self._store.open)
            fleet.make(first, self._config.sinks)
            fleet.adopt(first)
            self._supervisor = Supervisor(
                fleet.specs,
                self._store,
                self._saver,
                lease_secs=self._config.daemon.lease,
                headroom_warning_secs=self._config.daemon.headroom_warning,
            )
            notices = self._config.notices
            self._desk.use(notices, fleet.sink(notices.sink) if notices is not None else None)
            self._reloader = Reloader(self._files, fleet, self._supervisor, self._desk)
            self._saver.ticked_at = anyio.current_time()
            log.info("daemon_started", version=__version__, subscriptions=sorted(self._config.subscriptions))
            self._say_ready()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_purging, self._store)
                tasks.start_soon(_keep_beating, self._config)
                tasks.start_soon(keep_measuring)
                tasks.start_soon(self._desk.run, self._store, self._running)
                tasks.start_soon(self._reloads.run)
                if self._config.daemon.watch_config:
                    tasks.start_soon(watch, self._files, self.reload)
                await self._supervisor.run()
                await self._desk.close(_LAST_NOTICES_SECS)
                tasks.cancel_scope.cancel()
            log.info("daemon_stopped")

    def _running(self) -> Mapping[str, Sequence[str]]:
        """The routes of the subscriptions that run here."""
        assert self._supervisor is not None
        return {
            status.name: [route.name for route in self._config.subscriptions[status.name].routes]
            for status in self._supervisor.statuses()
            if status.state == "running" and status.name in self._config.subscriptions
        }

    def _say_ready(self) -> None:
        if self._supervisor is not None and not self._supervisor.is_stopping:
            names = sorted(status.name for status in self._supervisor.statuses())
            self._service_manager.ready(f"carries {', '.join(names)}")

    async def _patiently(self, call: Any) -> None:
        await until_reachable(call, on_failure=self._report_waiting)
        self._waiting_for = "starting"

    def _report_waiting(self, error: Unreachable) -> None:
        if self._waiting_for != str(error):
            log.warning("daemon_waited", reason=str(error))
            self._service_manager.waiting(f"waits for a server: {error}")
        self._waiting_for = str(error)

    async def _obey_signals(
        self, scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            stopping = False
            async for number in signals:
                if number == signal.SIGHUP:
                    self._reloads.ask()
                    continue
                if stopping:
                    log.warning("daemon_stopped_at_once", signal=number.name)
                    _exit_now(128 + number)
                stopping = True
                log.info("daemon_draining", signal=number.name)
                self._service_manager.stopping()
                self._end_at_last()
                if self._supervisor is None:
                    scope.cancel()
                else:
                    self._supervisor.stop()

    def _end_at_last(self) -> None:
        """End the process though something does not close: by then positions are saved, or cannot be."""
        daemon = self._config.daemon
        secs = daemon.drain_timeout + daemon.lease / 3 + _CLOSE_SECS

        def end() -> None:
            log.error("daemon_not_closed", after_secs=round(secs, 1))
            _exit_now(1)

        self._last_resort = asyncio.get_running_loop().call_later(secs, end)


def _exit_now(code: int) -> Never:
    sys.stderr.flush()
    os._exit(code)


async def _keep_beating(config: Config) -> None:
    """Update the heartbeat's document by a client of its own, if there is to be one."""
    heartbeat = config.heartbeat
    if heartbeat is None:
        return
    async with open_client(config.mongodb, "heartbeat", pool_size=1) as client:
        await keep_beating(
            client,
            instance=config.daemon.instance,
            database=heartbeat.database,
            collection=heartbeat.collection,
            every_secs=heartbeat.every,
        )


def _split(error: Exception) -> tuple[list[Exception], Exception | None]:
    """The refusals in an error, and what is left of it."""
    group = error if isinstance(error, ExceptionGroup) else ExceptionGroup("", [error])
    refused, rest = group.split(ConfigurationError)
    return _leaves(refused) if refused else [], rest


def _leaves(group: ExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found
