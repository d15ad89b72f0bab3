"""The change from one configuration to the next, each part as soon as it can.

Every changed subscription goes its own way: it drains, keeps its lease, waits until the sinks that it used
are closed where those changed, and begins anew. So no two sinks of one name ever write at the same time, and
one subscription that drains slowly holds up only those that share such a sink with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import anyio

from eventbus.assembly import stage_labels
from eventbus.config import Config, ResolvedSubscription
from eventbus.reloading.comparing import Difference, sinks_of
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.subscription import SubscriptionSpec
from eventbus.runtime.supervisor import Supervisor
from eventbus.telemetry import metrics, notices

__all__ = ["Closes", "Turnover", "publish_versions"]


class Closes(Protocol):
    """Whatever is closed in the end."""

    async def close(self) -> None:
        """Release what is held."""


class Turnover:
    """One change.

    Args:
        change: What is to end and to begin.
        old: The configuration that was in force.
        new: The one that is.
        ending: What changed and removed subscriptions are made from.
        beginning: What changed and added ones will be made from.
        closing: Changed and removed sinks.
        supervisor: Runs the subscriptions.
        close: Closes what nothing uses any more.
    """

    def __init__(
        self,
        change: Difference,
        old: Config,
        new: Config,
        *,
        ending: Mapping[str, SubscriptionSpec],
        beginning: Mapping[str, SubscriptionSpec],
        closing: Mapping[str, SharedSink],
        supervisor: Supervisor,
        close: Callable[[Closes], Awaitable[None]],
    ) -> None:
        self._change = change
        self._old = old
        self._new = new
        self._ending = ending
        self._beginning = beginning
        self._closing = closing
        self._supervisor = supervisor
        self._close = close
        self._ended = {name: anyio.Event() for name in ending}
        self._closed = {name: anyio.Event() for name in closing}

    async def run(self) -> None:
        """Return once all that is to end has ended, and what is to begin has begun."""
        async with self._supervisor.changing(), anyio.create_task_group() as tasks:
            for name in self._ending:
                tasks.start_soon(self._end, name)
            for name in self._closing:
                tasks.start_soon(self._close_sink, name)
            for name in self._beginning:
                tasks.start_soon(self._begin, name)

    async def _end(self, name: str) -> None:
        await self._supervisor.end(name)
        await self._close(self._ending[name])
        if name in self._beginning:
            _forget_old(self._old.subscriptions[name], self._new.subscriptions[name])
            publish_versions(self._new.subscriptions[name])
        else:
            await self._supervisor.remove(name)
            metrics.forget(subscription=name)
            notices.forgotten(name)
        self._ended[name].set()

    async def _close_sink(self, name: str) -> None:
        for user in self._ending:
            if name in sinks_of(self._old.subscriptions[user]):
                await self._ended[user].wait()
        await self._close(self._closing[name])
        if name not in self._change.new_sinks:
            metrics.forget(sink=name)
        self._closed[name].set()

    async def _begin(self, name: str) -> None:
        spec = self._beginning[name]
        for sink in sinks_of(self._new.subscriptions[name]) & self._closed.keys():
            await self._closed[sink].wait()
        if name in self._ended:
            await self._ended[name].wait()
            await self._supervisor.replace(spec)
        else:
            self._supervisor.add(spec)
            publish_versions(self._new.subscriptions[name])


def publish_versions(subscription: ResolvedSubscription) -> None:
    """Tell under which versions of what was written its routes run."""
    versions = {route.name: route.version for route in subscription.routes}
    metrics.configuration_info(subscription.name, versions)


def _forget_old(old: ResolvedSubscription, new: ResolvedSubscription) -> None:
    """Remove the series of what a subscription had and has no more."""
    for route in old.routes:
        metrics.forget(subscription=old.name, route=route.name, version=route.version)
    for name in {route.name for route in old.routes} - {route.name for route in new.routes}:
        metrics.forget(subscription=old.name, route=name)
        metrics.forget(subscription=old.name, route=f"{name}@replay")
        notices.forgotten(old.name, name)
    for stage in _stages(old) - _stages(new):
        metrics.forget(subscription=old.name, stage=stage)


def _stages(subscription: ResolvedSubscription) -> set[str]:
    pipelines = [subscription.pipeline, *(route.pipeline for route in subscription.routes)]
    return {label for pipeline in pipelines for label in stage_labels(pipeline)}
