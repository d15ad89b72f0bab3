"""Where a daemon's notices come in and go out, by one configuration after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import anyio
import structlog

from eventbus.config.notices import NoticesSection
from eventbus.encoding.notices import NoticeEncoder
from eventbus.notices.letters import LetterWatch
from eventbus.notices.outbox import Outbox
from eventbus.notices.sending import Sending
from eventbus.runtime.shared_sink import SharedSink
from eventbus.state.store import LetterStore

__all__ = ["Desk"]

log = structlog.get_logger("eventbus.notices")

_AFTER_BUG_SECS = 60.0
"""Until a sink is tried again that raised."""


class Desk:
    """Listens to all of a daemon, and sends what users want to be told.

    Args:
        instance: Name of the daemon.
    """

    def __init__(self, instance: str) -> None:
        self.outbox = Outbox(instance)
        """The listener."""
        self._encoder = NoticeEncoder(instance)
        self._wanted: tuple[NoticesSection, SharedSink] | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopped = anyio.Event()

    async def run(self, store: LetterStore, running: Callable[[], Mapping[str, Sequence[str]]]) -> None:
        """Send, until cancelled.

        Args:
            store: Where dead letters are counted.
            running: The routes that run here, by name of the subscription.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(LetterWatch(store, self.outbox, running).run)
            while True:
                self._scope = anyio.CancelScope()
                try:
                    with self._scope:
                        await self._send()
                finally:
                    self._scope = None
                    self._stopped.set()

    async def release(self) -> None:
        """Use the sink no more, since it may be closed. What waits goes on waiting, for `use`."""
        self._wanted = None
        if self._scope is not None:
            self._stopped = anyio.Event()
            self._scope.cancel()
            await self._stopped.wait()

    def use(self, section: NoticesSection | None, sink: SharedSink | None) -> None:
        """Do what a configuration asks for from now on.

        Args:
            section: What it asks for; None for nothing.
            sink: The sink that the section names.
        """
        self._wanted = (section, sink) if section is not None and sink is not None else None
        self.outbox.configure(section)
        if self._scope is not None:
            self._scope.cancel()

    async def close(self, within_secs: float) -> None:
        """Give what waits a last moment, and say how much is left behind."""
        if self.outbox.section is None:
            return
        with anyio.move_on_after(within_secs):
            await self.outbox.emptied()
        if self.outbox.waiting:
            log.warning("notices_left_behind", notices=self.outbox.waiting)

    async def _send(self) -> None:
        if self._wanted is None:
            await anyio.sleep_forever()
        else:
            section, sink = self._wanted
            try:
                await Sending(self.outbox, section, sink, self._encoder).run()
            except Exception as error:  # the sink may be a plugin, and no subscription must end for its bugs
                log.exception("notices_not_sent", sink=sink.name, reason=type(error).__name__)
                await anyio.sleep(_AFTER_BUG_SECS)
