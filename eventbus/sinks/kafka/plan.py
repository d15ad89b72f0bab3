"""What to send next of one call's messages to one partition, and what became of each; decided without I/O.

Brokers take or refuse a batch as a whole. A batch that is refused for what one of its messages may have is
sent again in halves until the culprit stands alone, so that it takes no other with it. While a message
has to be tried again, the later ones of its key are not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiokafka.errors import KafkaError

from eventbus.sdk import Fault, Message, Outcome, Retry
from eventbus.sinks.kafka.outcomes import concerns_single_messages, outcome_of

__all__ = ["Plan"]

_NOT_TRIED: Final = Retry(Fault.UNAVAILABLE, "Kafka: not tried, since an earlier message failed")
_MOST_FAILURES: Final = 3
"""So many messages that fail each by itself are not the messages' fault; the rest is not tried."""


class Plan:
    """The way of some messages to one partition.

    Args:
        messages: In their order.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._runs: list[Sequence[int]] = [range(len(messages))]
        self._run: Sequence[int] = ()
        self._held: set[bytes] = set()
        self._failures = 0
        self.outcomes: list[Outcome] = [_NOT_TRIED] * len(messages)
        """What became of each message so far."""

    def next(self) -> list[Message]:
        """The messages to send now, in one batch as far as they fit; none when all is done."""
        self._run = ()
        while self._runs and not self._run:
            self._run = self._runs.pop()
            if self._held:
                self._run = [index for index in self._run if self._key(index) not in self._held]
        return [self._messages[index] for index in self._run]

    def answered(self, count: int, answer: Outcome | KafkaError) -> None:
        """Take note of an attempt.

        Args:
            count: How many of the messages that `next` gave were in the batch; the others come next.
            answer: The outcome of all in the batch, or the error to find it from.
        """
        run, rest = self._run[:count], self._run[count:]
        if rest:
            self._runs.append(rest)
        if isinstance(answer, KafkaError):
            if len(run) > 1 and concerns_single_messages(answer):
                middle = len(run) // 2
                self._runs += (run[middle:], run[:middle])
                return
            answer = outcome_of(answer)
        for index in run:
            self.outcomes[index] = answer
        if isinstance(answer, Retry):
            self._failed(run, answer)

    def _failed(self, run: Sequence[int], answer: Retry) -> None:
        self._held.update(self._key(index) for index in run)
        self._failures += 1
        if answer.fault is not Fault.FAILED:  # nothing about these messages: it meets the others as well
            for index in (index for waiting in self._runs for index in waiting):
                self.outcomes[index] = answer
        if answer.fault is not Fault.FAILED or self._failures == _MOST_FAILURES:
            self._runs.clear()

    def _key(self, index: int) -> bytes:
        return self._messages[index].event.key
