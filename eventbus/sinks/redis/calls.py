"""Runs a script for a batch: one call, or on a cluster one for each slot that the batch touches.

A batch is one script call: one round trip, entries in the order of the batch, and for each target an end at
its first failure, so that nothing of a key gets ahead of what failed. A plain pipeline would go on: out of
memory at one entry, and the next one of the same key is taken, since memory was freed in between. The script
costs the client 3 µs a message; a pipeline, with or without MULTI, costs 20.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import anyio
from redis.asyncio import RedisCluster
from redis.crc import key_slot

from eventbus.sdk import DELIVERED, Message, Outcome
from eventbus.sinks.redis.outcomes import ERRORS, outcome_of, outcomes_of
from eventbus.sinks.redis.server import Client

__all__ = ["ERRORS_OF_CALLS", "Arguments", "Calls"]

Arguments: TypeAlias = tuple[list[str], list[str | bytes | int]]
"""The keys of a call, and what else it is told."""

ERRORS_OF_CALLS: Final = (*ERRORS, AttributeError)
"""All that a call can meet. When a node of a cluster fails, the client closes connections that it just lent
to other tasks; their next step finds no stream where there was one."""

_AT_ONCE: Final = 16
"""Calls of one batch to a cluster that are under way at the same time."""


class Calls:
    """A script, and how batches become its arguments.

    Args:
        client: Where it runs.
        script: Its text.
        arguments: Makes the arguments for messages.
    """

    def __init__(
        self, client: Client, script: str, arguments: Callable[[Sequence[Message]], Arguments]
    ) -> None:
        self._is_cluster = isinstance(client, RedisCluster)
        self._run = client.register_script(script)
        self._arguments = arguments
        self._turns = anyio.Semaphore(_AT_ONCE)

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Make one attempt for each message."""
        if not self._is_cluster:
            return await self._call(messages)
        outcomes: list[Outcome] = [DELIVERED] * len(messages)

        async def call(indices: Sequence[int]) -> None:
            async with self._turns:
                answers = await self._call([messages[index] for index in indices])
            for index, outcome in zip(indices, answers, strict=True):
                outcomes[index] = outcome

        async with anyio.create_task_group() as tasks:
            for indices in _by_slot(messages):
                tasks.start_soon(call, indices)
        return outcomes

    async def _call(self, messages: Sequence[Message]) -> list[Outcome]:
        keys, arguments = self._arguments(messages)
        try:
            failures = await self._run(keys=keys, args=arguments)
        except ERRORS_OF_CALLS as error:
            return [outcome_of(error)] * len(messages)
        return outcomes_of(messages, failures)


def _by_slot(messages: Sequence[Message]) -> list[list[int]]:
    indices: dict[int, list[int]] = defaultdict(list)
    for index, message in enumerate(messages):
        indices[key_slot(message.target.encode())].append(index)
    return list(indices.values())
