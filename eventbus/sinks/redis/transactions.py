"""Slices of a route that take effect together with its position, for ``delivery: exactly_once``.

A slice is one script: Redis runs it as a whole, and nothing between. But scripts do not roll back, so what
could stop this one must do so at its first write, where nothing has happened yet:

- the types of all keys are looked at before;
- memory that is full, a replica, too few replicas, a disk that fails: Redis asks for these at a script's
  first write and at no later one, and each first write here is one that it asks for;
- rights: all keys are named as keys, for which Redis asks at the call; all messages are written by one and
  the same command, so the first of them asks for the right to it; what is written after them, the position
  and the ends of lists, is written before them as well, as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.crc import key_slot

from eventbus.sdk import (
    DELIVERED,
    Commit,
    ConfigurationError,
    Fault,
    LeaseLost,
    Message,
    Refused,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.sinks.redis.calls import ERRORS_OF_CALLS, Arguments
from eventbus.sinks.redis.outcomes import outcome_of, reason_of
from eventbus.sinks.redis.scripts import CLAIM
from eventbus.sinks.redis.server import Client

__all__ = ["RedisTransactions"]

_FENCED: Final = b"fenced"
_MOVED: Final = b"moved"
_STRANGE: Final = b"strange"


class RedisTransactions:
    """Those of one route.

    Args:
        client: Where they run.
        key: Where position and epoch are kept.
        kind: The type of the keys that are written.
        script: One of the scripts that commit.
        arguments: Makes its keys and its last arguments for messages.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        kind: str,
        script: str,
        arguments: Callable[[Sequence[Message]], Arguments],
    ) -> None:
        self._key = key
        self._kind = kind
        self._arguments = arguments
        self._is_cluster = isinstance(client, RedisCluster)
        self._claim = client.register_script(CLAIM)
        self._commit = client.register_script(script)
        self._epoch = 0
        self._position: bytes | None = None

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        try:
            answer = await self._claim(keys=[self._key], args=[epoch])
        except ERRORS_OF_CALLS as error:
            outcome = outcome_of(error)
            if isinstance(outcome, Rejected):
                raise ConfigurationError(f"{self._key}: {reason_of(error)}") from error
            raise Unreachable(reason_of(error)) from error
        self._check_epoch(answer)
        self._epoch = epoch
        self._position = answer[1]
        return self._position

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        if elsewhere := self._elsewhere(messages):
            return Refused(dict.fromkeys(elsewhere, _ELSEWHERE))
        keys, arguments = self._arguments(messages)
        try:
            answer = await self._commit(
                keys=[self._key, *keys],
                args=[self._epoch, position, self._position or b"", self._kind, *arguments],
            )
        except ERRORS_OF_CALLS as error:
            outcome = outcome_of(error)
            return outcome if isinstance(outcome, Retry) else Retry(Fault.UNAVAILABLE, reason_of(error))
        self._check_epoch(answer)
        if answer[0] == _STRANGE:
            return Refused(self._strange(messages, [keys[number - 1] for number in answer[1:]]))
        self._position = position
        return DELIVERED

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`; all belongs to the sink."""

    def _check_epoch(self, answer: Sequence[Any]) -> None:
        if answer[0] == _FENCED:
            raise LeaseLost(f"{self._key} was claimed by an owner with the epoch {int(answer[1])}")
        if answer[0] == _MOVED:
            raise LeaseLost(f"{self._key} is not as it was left: Redis has lost data, or was restored")

    def _strange(self, messages: Sequence[Message], keys: Sequence[str]) -> Mapping[int, Rejected]:
        """Messages for keys that hold something else."""
        return {
            index: Rejected(f"WRONGTYPE {message.target} is no {self._kind}")
            for index, message in enumerate(messages)
            if message.target in keys
        }

    def _elsewhere(self, messages: Sequence[Message]) -> list[int]:
        """Messages for keys that a cluster keeps apart from the position."""
        if not self._is_cluster:
            return []
        slot = key_slot(self._key.encode())
        return [index for index, message in enumerate(messages) if key_slot(message.target.encode()) != slot]


_ELSEWHERE: Final = Rejected(
    "CROSSSLOT a cluster commits only what lies in the slot of the position: give both the same hash tag"
)
