"""What was committed, and whether a receiver got exactly that: the demo's and the tests' only judge.

A workload writes down every change it makes; receivers write down every event they get; `Ledger.check`
compares the two one to one. It must never ask the daemon anything, or the daemon would judge itself.

How a change and its event find each other: every document carries `rev`, the number of its own changes
(1 for the insert), which each insert, update and replace sets. A delete sets nothing, so it is known by its
``_id``, which no workload ever uses twice; as the last change of its document its rev is `LAST_REV`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
from bson import json_util

__all__ = ["LAST_REV", "Change", "Ledger", "Receipt", "Verdict", "canonical_id"]

LAST_REV: Final = 2**31
"""The rev of a delete: after it there is nothing."""


class Change(NamedTuple):
    """The identity of one change.

    Args:
        database: Name of the database.
        collection: Name of the collection.
        document_id: The ``_id`` as `canonical_id` writes it.
        operation: insert, update, replace or delete.
        rev: What number of its document's changes it is.
    """

    database: str
    collection: str
    document_id: str
    operation: str
    rev: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One event as a receiver got it.

    Args:
        event_id: The event's own id.
        change: Which change it claims to be.
        digest: A hash of the event's bytes, to tell whether a second delivery said the same.
    """

    event_id: str
    change: Change
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one receiver compares with the ledger. All is well if everything here is empty.

    Args:
        lost: Committed changes that never came.
        duplicated: Receipts of an event id, or of a change, that had come before.
        misordered: First receipts of a change after a later change of the same document.
        unexpected: Receipts of changes that nobody made.
        misnamed: Receipts where one id names two changes, or one change has two ids.
        altered: Second receipts that differ from the first.
    """

    lost: Sequence[Change]
    duplicated: Sequence[Receipt]
    misordered: Sequence[Receipt]
    unexpected: Sequence[Receipt]
    misnamed: Sequence[Receipt]
    altered: Sequence[Receipt]

    @property
    def is_clean(self) -> bool:
        """Whether every committed change came once, in order, and nothing else did."""
        return not (self.lost or self.duplicated or self.is_wrong)

    @property
    def is_wrong(self) -> bool:
        """Whether something came that not even a crash excuses; what did not come may be late."""
        return bool(self.misordered or self.unexpected or self.misnamed or self.altered)

    def complaints(self) -> list[str]:
        """What is wrong, one line for each kind, with the first case of it."""
        kinds: list[tuple[str, Sequence[Change | Receipt]]] = [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("out of order", self.misordered),
            ("never committed", self.unexpected),
            ("under a wrong id", self.misnamed),
            ("different the second time", self.altered),
        ]
        return [f"{len(cases)} {kind}, first {_shown(cases[0])}" for kind, cases in kinds if cases]


class Ledger:
    """All changes of a workload: begun when they are sent, committed when the server said so by majority."""

    def __init__(self) -> None:
        self._begun: set[Change] = set()
        self._committed: dict[Change, None] = {}

    @property
    def committed(self) -> Collection[Change]:
        """What is known to be committed, in the order in which that became known."""
        return self._committed.keys()

    @property
    def uncertain(self) -> Collection[Change]:
        """What was sent and neither confirmed nor refuted; its events may come or not."""
        return self._begun

    def begin(self, changes: Iterable[Change]) -> None:
        """Note changes before they are sent, since an event can be faster than the server's answer."""
        for change in changes:
            assert change not in self._begun, f"{change} is made twice"
            assert change not in self._committed, f"{change} is made twice"
            self._begun.add(change)

    def commit(self, changes: Iterable[Change]) -> None:
        """Note that changes are committed with majority."""
        for change in changes:
            self._begun.remove(change)
            self._committed[change] = None

    def operations(self) -> Counter[str]:
        """How many changes of each operation are committed."""
        return Counter(change.operation for change in self._committed)

    def check(self, received: Iterable[Receipt]) -> Verdict:
        """Compare one receiver's receipts, in the order of their coming, with what was committed."""
        comparison = _Comparison(self._begun | self._committed.keys())
        for receipt in received:
            comparison.add(receipt)
        return comparison.verdict(self._committed)


class _Comparison:
    def __init__(self, made: Collection[Change]) -> None:
        self._made = made
        self._first: dict[Change, Receipt] = {}
        self._named: dict[str, Change] = {}
        self._revs: dict[tuple[str, str, str], int] = {}
        self._duplicated: list[Receipt] = []
        self._misordered: list[Receipt] = []
        self._unexpected: list[Receipt] = []
        self._misnamed: list[Receipt] = []
        self._altered: list[Receipt] = []

    def add(self, receipt: Receipt) -> None:
        if receipt.change not in self._made:
            self._unexpected.append(receipt)
            return
        is_first = receipt.change not in self._first
        first = self._first.setdefault(receipt.change, receipt)
        if is_first:
            self._check_order(receipt)
        if not is_first or receipt.event_id in self._named:
            self._duplicated.append(receipt)
        named = self._named.setdefault(receipt.event_id, receipt.change)
        if named != receipt.change or first.event_id != receipt.event_id:
            self._misnamed.append(receipt)
        elif first.digest != receipt.digest:
            self._altered.append(receipt)

    def verdict(self, committed: Iterable[Change]) -> Verdict:
        return Verdict(
            lost=[change for change in committed if change not in self._first],
            duplicated=self._duplicated,
            misordered=self._misordered,
            unexpected=self._unexpected,
            misnamed=self._misnamed,
            altered=self._altered,
        )

    def _check_order(self, receipt: Receipt) -> None:
        document, rev = receipt.change[:3], receipt.change.rev
        if rev < self._revs.get(document, 0):
            self._misordered.append(receipt)
        else:
            self._revs[document] = rev


def canonical_id(value: object) -> str:
    """One text for an ``_id``, whether it is a BSON value or the same in relaxed Extended JSON."""
    extended = orjson.loads(json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS))
    return orjson.dumps(extended, option=orjson.OPT_SORT_KEYS).decode()


def _shown(case: Change | Receipt) -> str:
    change = case.change if isinstance(case, Receipt) else case
    rev = "" if change.rev == LAST_REV else f" rev {change.rev}"
    return f"{change.operation} {change.collection} {change.document_id}{rev}"
