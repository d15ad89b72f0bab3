"""The transactions of a simulated target: they misbehave by plan, and may take effect after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import anyio

from eventbus.errors import LeaseLost, Unreachable
from eventbus.model import DELIVERED, Fault, Message, Outcome, Rejected, Retry
from eventbus.sdk import Commit, Refused
from tests.runtime.target import FAULTS, TAKES_EFFECT, Answers, FaultySink, Target, Trouble, failure_of

__all__ = ["CommittingSink", "FaultyTransactions"]

_OF_MESSAGES = {"failing", "throttled", "rejecting"}
_NOT_JUDGED = Retry(Fault.UNAVAILABLE, "not judged")


class CommittingSink(FaultySink):
    """One daemon's sink on a target that keeps positions of routes."""

    def transactions(self, route: str) -> FaultyTransactions:
        """See `eventbus.sdk.TransactionalSink`."""
        name = route.partition("/")[2]
        return FaultyTransactions(self._target, name, self._is_dead, self._answers, self._rng)


class FaultyTransactions:
    """Those of one route and one daemon.

    Args:
        target: What keeps the position.
        route: Name of the route.
        is_dead: Whether the daemon was killed; what is under way then takes effect, or does not.
        answers: Told of everything.
        rng: Where latency comes from, and luck.
    """

    def __init__(
        self, target: Target, route: str, is_dead: Callable[[], bool], answers: Answers, rng: Random
    ) -> None:
        self._target = target
        self._route = route
        self._is_dead = is_dead
        self._answers = answers
        self._rng = rng
        self._epoch = 0
        self._is_closed = False

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        await self._pass_time()
        if self._is_dead():
            await anyio.sleep_forever()
        if self._target.trouble("closed", "hanging"):
            raise Unreachable("the target cannot be claimed")
        if epoch < self._target.epochs.get(self._route, 0):
            raise LeaseLost(f"{self._route} was claimed by a later owner")
        self._target.epochs[self._route] = self._epoch = epoch
        position = self._target.positions.get(self._route)
        await self._pass_time()
        return position

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        if not self._epoch or self._is_closed:
            self._answers.misused("committed though it is not claimed, or closed")
        if messages:
            self._answers.sending(self._route, messages)
        try:
            answer = await self._attempt(messages, position)
        except LeaseLost:
            self._tell(messages, {})
            raise
        broken = self._target.trouble("raising", "miscounting")
        if isinstance(answer, Refused):
            self._tell(messages, answer.by)
        else:
            said = Retry(Fault.FAILED, "a bug") if broken else answer
            self._tell(messages, dict.fromkeys(range(len(messages)), said))
        if broken:
            raise RuntimeError("a bug of the sink")
        return answer

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`."""
        self._is_closed = True

    async def _attempt(self, messages: Sequence[Message], position: bytes) -> Commit:
        await self._pass_time()
        if hanging := self._target.trouble("hanging"):
            await anyio.sleep_until(hanging.end)
        if slow := self._target.trouble("slow"):
            await anyio.sleep(slow.secs)
        if self._is_dead() and self._rng.random() < 0.5:
            await anyio.sleep_forever()
        answer = self._take(messages, position)
        if self._is_dead():
            await anyio.sleep_forever()
        await self._pass_time()
        return answer

    def _take(self, messages: Sequence[Message], position: bytes) -> Commit:
        """All takes effect, or nothing; not twice, and nothing of whom somebody has shut out."""
        if self._epoch < self._target.epochs[self._route]:
            raise LeaseLost(f"{self._route} was claimed by a later owner")
        if self._target.positions.get(self._route) == position:
            return DELIVERED
        struck = {
            index: trouble
            for index, message in enumerate(messages)
            if (trouble := self._target.strike(self._route, message.event)) is not None
        }
        whole = [trouble for trouble in struck.values() if trouble.kind not in _OF_MESSAGES]
        if whole:
            if whole[0].kind in TAKES_EFFECT:
                self._apply(messages, position)
            return _outage(whole[0])
        if struck:
            return Refused({index: failure_of(trouble) for index, trouble in struck.items()})
        self._apply(messages, position)
        return DELIVERED

    def _apply(self, messages: Sequence[Message], position: bytes) -> None:
        self._target.positions[self._route] = position
        for message in messages:
            self._answers.arrived(self._route, message.event)

    def _tell(self, messages: Sequence[Message], by: Mapping[int, Outcome]) -> None:
        if messages:
            outcomes = [by.get(index, _NOT_JUDGED) for index in range(len(messages))]
            self._answers.answered(self._route, messages, outcomes)

    async def _pass_time(self) -> None:
        await anyio.sleep(self._target.secs / 2 * self._rng.random())


def _outage(trouble: Trouble) -> Retry:
    """What the whole slice is told: nobody's fault but the target's."""
    failure = failure_of(trouble)
    assert not isinstance(failure, Rejected)
    fault = failure.fault if FAULTS[trouble.kind] is not Fault.FAILED else Fault.UNAVAILABLE
    return Retry(fault, failure.reason, failure.after_secs, detail=failure.detail, pauses=failure.pauses)
