"""One reload after the other: read, compare, check, apply; and what came of it, for logs and metrics."""

from __future__ import annotations

import gc
import time

import anyio
import structlog
from anyio import to_thread

from eventbus.config import Config
from eventbus.core.backoff import until_reachable
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.notices import Desk
from eventbus.reloading.comparing import Difference, difference
from eventbus.reloading.files import ConfigFiles
from eventbus.reloading.fleet import Addition, Fleet
from eventbus.reloading.outcome import ReloadOutcome
from eventbus.runtime.supervisor import Supervisor
from eventbus.telemetry import metrics, notices

__all__ = ["Reloader"]

log = structlog.get_logger("eventbus.reload")

_PATIENCE_SECS = 30.0
"""How long sources may be away that are to be asked: an election is no reason to refuse."""


class Reloader:
    """Puts what users have written since in force.

    Args:
        files: Where they write.
        fleet: What runs now.
        supervisor: Runs it.
        desk: Sends notices.
        patience_secs: How long a source that does not answer is waited for.
    """

    def __init__(
        self,
        files: ConfigFiles,
        fleet: Fleet,
        supervisor: Supervisor,
        desk: Desk,
        *,
        patience_secs: float = _PATIENCE_SECS,
    ) -> None:
        self._files = files
        self._fleet = fleet
        self._supervisor = supervisor
        self._desk = desk
        self._patience_secs = patience_secs
        self._lock = anyio.Lock()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._fleet.config

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`."""
        async with self._lock:
            read_at = time.time()
            try:
                outcome = await self._reloaded()
            except ConfigurationError as error:
                outcome = ReloadOutcome("refused", problems=error.problems)
            except Unreachable as error:
                outcome = ReloadOutcome("refused", problems=[f"a server is away: {error}; reload again"])
        _tell(outcome, read_at)
        return outcome

    async def _reloaded(self) -> ReloadOutcome:
        self._refuse_while_stopping()
        config = await to_thread.run_sync(self._files.load)
        change = difference(self._fleet.config, config)
        if change.fixed:
            raise ConfigurationError(*map(_needs_restart, change.fixed))
        if change.is_empty:
            return ReloadOutcome("unchanged")
        addition = await self._fleet.begin(config, [*change.added, *change.changed])
        try:
            await self._prepare(addition, change)
            self._refuse_while_stopping()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._fleet.discard(addition)
            raise
        if change.notices:
            await self._desk.release()
        await self._fleet.change(addition, change, self._supervisor)
        if change.notices:
            self._desk.use(config.notices, self._fleet.sink(config.notices.sink) if config.notices else None)
        gc.collect()  # lives that ended are cycles, and of themselves collections come seldom here
        return ReloadOutcome(
            "applied",
            added=change.added,
            removed=change.removed,
            restarted=change.changed,
            sinks=sorted(change.new_sinks | change.old_sinks),
        )

    def _refuse_while_stopping(self) -> None:
        if self._supervisor.is_stopping:
            raise ConfigurationError("the daemon is stopping: start it again")

    async def _prepare(self, addition: Addition, change: Difference) -> None:
        last = [Unreachable("it did not answer in time")]
        with anyio.move_on_after(self._patience_secs) as patience:
            await until_reachable(lambda: self._fleet.check(addition), on_failure=last.append)
        if patience.cancelled_caught:
            raise last[-1]
        try:
            self._fleet.make(addition, sorted(change.new_sinks))
        except ConfigurationError:
            raise
        except Exception as error:
            log.exception("reload_failed")
            raise ConfigurationError(f"a sink or a stage cannot be made: {type(error).__name__}") from error


def _needs_restart(key: str) -> str:
    return f"{key}: cannot be changed while the daemon runs: restart the daemon"


def _tell(outcome: ReloadOutcome, read_at: float) -> None:
    metrics.reload_ended(outcome.result)
    if outcome.result == "refused":
        log.warning("reload_refused", problems=outcome.problems)
        notices.reload_refused(outcome.problems)
        return
    metrics.config_loaded(read_at)
    if outcome.result == "unchanged":
        log.info("config_unchanged")
    else:
        log.info(
            "config_reloaded",
            added=outcome.added,
            removed=outcome.removed,
            restarted=outcome.restarted,
            sinks=outcome.sinks,
        )
        notices.reload_done(
            added=outcome.added, removed=outcome.removed, restarted=outcome.restarted, sinks=outcome.sinks
        )
