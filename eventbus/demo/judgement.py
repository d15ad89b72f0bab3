"""What is said in the end, made from the ledger and from what the receivers got. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eventbus.demo.ledger import Ledger
from eventbus.demo.receivers import Receiver

__all__ = ["Judgement", "judged"]

_KINDS: Final = ("webhook", "redis", "file", "kafka")
_COMPLAINTS: Final = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a demo.

    Args:
        is_good: Whether every receiver got every committed change, in order by key, and nothing else.
            Duplicates do not spoil it: at least once is what is promised.
        complaints: What is wrong, a line each.
        line: The last line of the demo.
    """

    is_good: bool
    complaints: Sequence[str]
    line: str


def judged(ledger: Ledger, receivers: Sequence[Receiver]) -> Judgement:
    """Compare every receiver with the ledger."""
    verdicts = [ledger.check(receiver.receipts) for receiver in receivers]
    complaints: list[str] = []
    for receiver, verdict in zip(receivers, verdicts, strict=True):
        found = [*verdict.complaints(), *receiver.complaints[:_COMPLAINTS]]
        complaints += [f"{receiver.name}: {complaint}" for complaint in found]
    is_spoilt = any(verdict.lost or verdict.is_wrong for verdict in verdicts)
    is_spoilt = is_spoilt or any(receiver.complaints for receiver in receivers)
    return Judgement(
        is_good=bool(ledger.committed) and not is_spoilt,
        complaints=complaints,
        line=_line(
            len(ledger.committed),
            {receiver.name: len(receiver.receipts) for receiver in receivers},
            lost=sum(len(verdict.lost) for verdict in verdicts),
            duplicated=sum(len(verdict.duplicated) for verdict in verdicts),
        ),
    )


def _line(committed: int, counts: dict[str, int], *, lost: int, duplicated: int) -> str:
    received = " ".join(f"{kind}={counts.get(kind, 'off')}" for kind in _KINDS)
    return f"demo: committed={committed} {received} lost={lost} duplicated={duplicated}"
