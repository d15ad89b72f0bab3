"""The simulated state store: what is durable, and a daemon's way to it, which can be cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import anyio

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import DeadLetter, Event, Position
from eventbus.state.gaps import Gap
from eventbus.state.letters import letter_id
from eventbus.state.operations import Control, Operation, OperationStatus
from eventbus.state.query import parse
from eventbus.state.query_tree import selects
from eventbus.state.store import (
    HeldKey,
    Holder,
    Lease,
    LetterHour,
    LetterQuery,
    LetterStatus,
    LetterTotals,
    Save,
    StoredDeadLetter,
)

__all__ = ["LetterFate", "MemoryStore", "StoreTrouble", "Vault", "Witness"]

_TAKES_EFFECT = {"lost_answer", "late_answer"}


@dataclass(frozen=True, slots=True)
class StoreTrouble:
    """A stretch of time in which the store misbehaves.

    Args:
        kind: ``away`` refuses at once, ``hanging`` answers nothing until the end and then refuses,
            ``lost_answer`` does what it was asked and then seems to be away, ``late_answer`` does it and
            answers at the end.
        start: When it begins, in virtual seconds.
        end: When it is over.
        calls: Names of the calls it concerns; empty for all.
    """

    kind: str
    start: float = 0.0
    end: float = float("inf")
    calls: frozenset[str] = frozenset()

    def concerns(self, call: str) -> bool:
        """Whether it strikes a call of this name."""
        return not self.calls or call in self.calls


@dataclass(slots=True)
class _Row:
    owner: str | None = None
    epoch: int = 0
    until: float = 0.0


@dataclass(slots=True)
class LetterFate:
    """What became of a dead letter."""

    status: LetterStatus = LetterStatus.PARKED
    superseded_by: str | None = None
    operation: str | None = None
    forwarded: bool = False


class Witness:
    """Told of each save before it is made, and of all that becomes durable; whoever checks overrides it."""

    def asked_to_save(self, saves: Sequence[Save]) -> None:
        """A save sets out: what the engine knows at this moment is what it saves."""

    def saved(self, subscription: str, positions: Mapping[str, Position]) -> None:
        """Positions became durable."""

    def refused(self, subscription: str) -> None:
        """The daemon was told that its lease is lost."""

    def parked(self, letters: Sequence[DeadLetter]) -> None:
        """Dead letters became durable."""

    def parked_again(self, letter: DeadLetter, operation: str) -> None:
        """A dead letter was sent by an operation, and stays one, with more attempts."""

    def concluded(self, letter: DeadLetter, operation: str) -> None:
        """A dead letter was sent by an operation, and is none any more."""

    def superseded(self, letter: DeadLetter, event: Event) -> None:
        """It became durable that a newer event of the letter's key has gone out."""

    def asked_for(self, operation: Operation) -> None:
        """An operation was asked for."""

    def recorded(self, gap: Gap) -> None:
        """A gap became durable."""

    def moved(self, operation: Operation) -> None:
        """The record of an operation became durable."""


@dataclass(slots=True)
class Vault:
    """What is durable: it outlives every daemon."""

    leases: dict[str, _Row] = field(default_factory=dict)
    positions: dict[str, dict[str, Position]] = field(default_factory=dict)
    letters: dict[tuple[str, str, str], DeadLetter] = field(default_factory=dict)
    fates: dict[tuple[str, str, str], LetterFate] = field(default_factory=dict)
    paused: dict[str, dict[str, str]] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)
    troubles: list[StoreTrouble] = field(default_factory=list)

    def fate(self, identity: tuple[str, str, str]) -> LetterFate:
        """What became of a dead letter."""
        return self.fates[identity]

    def discard(self, letter: DeadLetter) -> None:
        """An operator decides that it need not be sent."""
        self.fate((letter.subscription, letter.route, letter.event.id)).status = LetterStatus.DISCARDED

    def usurp(self, subscription: str, *, secs: float) -> None:
        """Another daemon takes the lease for a while, and moves nothing."""
        row = self.leases.setdefault(subscription, _Row())
        row.owner, row.epoch, row.until = "another daemon", row.epoch + 1, anyio.current_time() + secs

    def trouble(self, call: str) -> StoreTrouble | None:
        """What is wrong with a call at this moment."""
        now = anyio.current_time()
        return next((one for one in self.troubles if one.concerns(call) and one.start <= now < one.end), None)

    def was_in_trouble(self, call: str, *, since: float) -> bool:
        """Whether something was wrong with a call at any time since a moment."""
        now = anyio.current_time()
        return any(one.concerns(call) and one.start <= now and one.end > since for one in self.troubles)


class MemoryStore:
    """A daemon's connection to the vault, as `eventbus.state.store.Store` promises it.

    Args:
        vault: What is durable.
        owner: The instance's name.
        is_dead: Whether the daemon was killed: nothing that it still asks for happens.
        witness: Told of everything.
        rng: Where latency comes from.
        latency_secs: The longest that a way takes.
    """

    def __init__(
        self,
        vault: Vault,
        owner: str,
        is_dead: Callable[[], bool],
        witness: Witness,
        rng: Random,
        *,
        latency_secs: float = 0.002,
    ) -> None:
        self._vault = vault
        self._owner = owner
        self._is_dead = is_dead
        self._witness = witness
        self._rng = rng
        self._latency_secs = latency_secs
        self.calls: Counter[str] = Counter()
        """How often each call was made."""

    async def open(self) -> None:
        """See `Store`."""

    async def close(self) -> None:
        """See `Store`."""

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """See `Store`."""
        await self._there("acquire")
        row = self._vault.leases.setdefault(subscription, _Row())
        now = anyio.current_time()
        if row.owner is not None and row.until > now and not (reclaim and row.owner == self._owner):
            return None
        row.owner, row.epoch, row.until = self._owner, max(row.epoch + 1, round(now * 1000)), now + lease_secs
        lease = Lease(subscription, row.epoch)
        await self._back("acquire")
        return lease

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """See `Store`."""
        await self._there("positions")
        positions = dict(self._vault.positions.get(subscription, {}))
        await self._back("positions")
        return positions

    async def subscriptions(self) -> Sequence[str]:
        """See `Store`."""
        await self._there("subscriptions")
        found = sorted(name for name, routes in self._vault.positions.items() if routes)
        await self._back("subscriptions")
        return found

    async def holders(self, subscriptions: Collection[str]) -> Mapping[str, Holder]:
        """See `Store`."""
        await self._there("holders")
        now = anyio.current_time()
        rows = {name: self._vault.leases[name] for name in subscriptions if name in self._vault.leases}
        await self._back("holders")
        return {
            name: Holder(row.owner, row.until - now)
            for name, row in rows.items()
            if row.owner is not None and row.until > now
        }

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """See `Store`."""
        self._witness.asked_to_save(saves)
        await self._there("save")
        held = [self._save(save, lease_secs) for save in saves]
        await self._back("save")
        for save, still_held in zip(saves, held, strict=True):
            if not still_held:
                self._witness.refused(save.lease.subscription)
        return held

    async def release(self, lease: Lease) -> None:
        """See `Store`."""
        await self._there("release")
        row = self._vault.leases[lease.subscription]
        if row.epoch == lease.epoch:
            row.owner, row.until = None, 0.0
        await self._back("release")

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `Store`."""
        await self._there("park")
        for letter in letters:
            identity = (letter.subscription, letter.route, letter.event.id)
            self._vault.letters.setdefault(identity, letter)
            self._vault.fates.setdefault(identity, LetterFate())
        self._witness.parked(letters)
        await self._back("park")

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """See `Store`."""
        await self._there("parked_after")
        found = [
            letter.event.id
            for (of, on, _), letter in self._vault.letters.items()
            if (of, on) == (subscription, route) and letter.event.token > token
        ]
        await self._back("parked_after")
        return found

    async def find_letters(
        self, query: LetterQuery, *, by_token: bool = False, after: str = "", limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `LetterStore`; a match may be about the route, and whether a letter only waits."""
        assert by_token, "the engine asks for letters in the order of their events"
        await self._there("find_letters")
        found = sorted(
            (letter.event.token, identity)
            for identity, letter in self._vault.letters.items()
            if letter.event.token > after
            and self._is_meant(query, identity)
            and _matches(letter, query.match)
        )
        letters = [self._stored(identity) for _, identity in found[:limit]]
        await self._back("find_letters")
        for letter in letters:
            yield letter

    async def park_again(self, letters: Sequence[DeadLetter], *, operation: str) -> None:
        """See `LetterStore`."""
        await self._there("park_again")
        for letter in letters:
            self._park_again(letter, operation)
        await self._back("park_again")

    async def conclude_letters(
        self, subscription: str, letters: Sequence[tuple[str, str]], *, operation: str
    ) -> None:
        """See `LetterStore`."""
        await self._there("conclude_letters")
        for route, event_id in letters:
            fate = self._vault.fates.get((subscription, route, event_id))
            if fate is not None and fate.status is not LetterStatus.REPLAYED:
                fate.status, fate.operation = LetterStatus.REPLAYED, operation
                self._witness.concluded(self._vault.letters[subscription, route, event_id], operation)
        await self._back("conclude_letters")

    async def forwarded_letters(self, subscription: str, letters: Sequence[tuple[str, str]]) -> None:
        """See `LetterStore`."""
        await self._there("forwarded_letters")
        for route, event_id in letters:
            fate = self._vault.fates.get((subscription, route, event_id))
            if fate is not None:
                fate.forwarded = True
        await self._back("forwarded_letters")

    async def held_keys(self, subscription: str, route: str) -> Sequence[HeldKey]:
        """See `LetterStore`."""
        await self._there("held_keys")
        by_key: dict[bytes, list[DeadLetter]] = {}
        for letter in self._parked(subscription, route):
            by_key.setdefault(letter.event.key, []).append(letter)
        await self._back("held_keys")
        return [_held_key(key, letters) for key, letters in by_key.items()]

    async def dead_key_hashes(self, subscription: str, route: str) -> Collection[int]:
        """See `LetterStore`."""
        await self._there("dead_key_hashes")
        found = {
            letter.event.key_hash
            for letter in self._parked(subscription, route)
            if self._vault.fates[subscription, route, letter.event.id].superseded_by is None
        }
        await self._back("dead_key_hashes")
        return found

    async def supersede_letters(self, subscription: str, route: str, event: Event) -> None:
        """See `LetterStore`."""
        await self._there("supersede_letters")
        for letter in self._parked(subscription, route):
            fate = self._vault.fates[subscription, route, letter.event.id]
            is_older = letter.event.key == event.key and letter.event.token < event.token
            if is_older and fate.superseded_by is None:
                fate.superseded_by = event.id
                self._witness.superseded(letter, event)
        await self._back("supersede_letters")

    async def count_letters(self, query: LetterQuery) -> LetterTotals:
        """See `LetterStore`; of a match it knows what the engine asks: which operation tried them."""
        assert set(query.match) == {"operation_id"}, "the engine counts what an operation tried"
        await self._there("count_letters")
        letters = sum(
            self._is_meant(replace(query, match={}), identity)
            and self._vault.fate(identity).operation == query.match["operation_id"]
            for identity in self._vault.letters
        )
        await self._back("count_letters")
        return LetterTotals(letters=letters)

    async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
        """See `LetterStore`."""
        await self._there("count_parked")
        found = len(self._parked(subscription, route))
        await self._back("count_parked")
        return min(found, most)

    async def letter_hours(self, since: datetime) -> Sequence[LetterHour]:
        """See `LetterStore`."""
        raise AssertionError("the engine counts no hours")

    async def discard_letters(self, query: LetterQuery, *, by: str) -> int:
        """See `LetterStore`."""
        raise AssertionError("the engine discards no dead letters")

    async def hold_letters(self, query: LetterQuery, *, hold: bool) -> int:
        """See `LetterStore`."""
        raise AssertionError("the engine knows no legal hold")

    async def purge_letters(self) -> int:
        """See `LetterStore`: nothing expires here."""
        await self._there("purge_letters")
        await self._back("purge_letters")
        return 0

    async def controls(self, subscriptions: Collection[str]) -> Mapping[str, Control]:
        """See `ControlStore`."""
        await self._there("controls")
        found = {name: self._control(name) for name in subscriptions}
        await self._back("controls")
        return found

    async def set_paused(self, subscription: str, route: str, reason: str | None) -> None:
        """See `ControlStore`."""
        await self._there("set_paused")
        paused = self._vault.paused.setdefault(subscription, {})
        if reason is None:
            paused.pop(route, None)
        else:
            paused[route] = reason
        await self._back("set_paused")

    async def add_operation(self, operation: Operation) -> None:
        """See `ControlStore`."""
        await self._there("add_operation")
        if operation.id in self._vault.operations:
            raise ConfigurationError(f"there is an operation {operation.id} already")
        self._vault.operations[operation.id] = operation
        self._witness.asked_for(operation)
        await self._back("add_operation")

    async def find_operations(
        self, *, subscription: str | None = None, operation_id: str | None = None, limit: int = 100
    ) -> Sequence[Operation]:
        """See `ControlStore`."""
        await self._there("find_operations")
        found = [
            operation
            for operation in reversed(self._vault.operations.values())
            if subscription in {None, operation.subscription} and operation_id in {None, operation.id}
        ]
        await self._back("find_operations")
        return found[:limit]

    async def cancel_operation(self, operation_id: str) -> bool:
        """See `ControlStore`."""
        await self._there("cancel_operation")
        stored = self._vault.operations.get(operation_id)
        cancels = stored is not None and not stored.status.is_over
        if stored is not None and cancels:
            self._vault.operations[operation_id] = replace(stored, status=OperationStatus.CANCELLED)
            self._witness.moved(self._vault.operations[operation_id])
        await self._back("cancel_operation")
        return cancels

    async def move_operation(self, operation: Operation, lease: Lease) -> bool:
        """See `ControlStore`."""
        await self._there("move_operation")
        stored = self._vault.operations[operation.id]
        moves = not stored.status.is_over and self._vault.leases[lease.subscription].epoch <= lease.epoch
        if moves:
            self._vault.operations[operation.id] = stored.moved(
                operation.status, operation.progress, operation.problem
            )
            self._witness.moved(self._vault.operations[operation.id])
        await self._back("move_operation")
        return moves

    async def forget_position(self, lease: Lease, route: str) -> None:
        """See `ControlStore`."""
        await self._there("forget_position")
        if self._vault.leases[lease.subscription].epoch == lease.epoch:
            self._vault.positions.get(lease.subscription, {}).pop(route, None)
        await self._back("forget_position")

    async def record_gap(self, gap: Gap) -> Gap | None:
        """See `GapStore`."""
        await self._there("record_gap")
        before = self._vault.gaps.get(gap.id)
        if before is None or before.end.token <= gap.end.token:
            self._vault.gaps[gap.id] = gap
            self._witness.recorded(gap)
        await self._back("record_gap")
        return before

    async def gaps(
        self,
        *,
        subscription: str | None = None,
        route: str | None = None,
        start: str | None = None,
        limit: int = 100,
    ) -> Sequence[Gap]:
        """See `GapStore`."""
        await self._there("gaps")
        found = [
            gap
            for gap in reversed(self._vault.gaps.values())
            if subscription in {None, gap.subscription}
            and route in {None, gap.route}
            and start in {None, gap.start.token}
        ]
        await self._back("gaps")
        return found[:limit]

    def _control(self, subscription: str) -> Control:
        operations = [
            operation
            for operation in self._vault.operations.values()
            if operation.subscription == subscription and not operation.status.is_over
        ]
        return Control(dict(self._vault.paused.get(subscription, {})), operations)

    def _park_again(self, letter: DeadLetter, operation: str) -> None:
        identity = (letter.subscription, letter.route, letter.event.id)
        fate = self._vault.fates.get(identity)
        if fate is None or fate.status is not LetterStatus.PARKED or fate.operation == operation:
            return
        before = self._vault.letters[identity]
        fate.operation = operation
        self._vault.letters[identity] = replace(
            before,
            reason=letter.reason,
            kind=letter.kind,
            held_behind=letter.held_behind,
            attempts=before.attempts + letter.attempts,
            errors=(*before.errors, *letter.errors)[-10:],
        )
        self._witness.parked_again(self._vault.letters[identity], operation)

    def _parked(self, subscription: str, route: str) -> list[DeadLetter]:
        """The route's parked letters in the order of their events."""
        query = LetterQuery(subscription, [route], statuses=[LetterStatus.PARKED])
        letters = [self._vault.letters[one] for one in self._vault.letters if self._is_meant(query, one)]
        return sorted(letters, key=lambda letter: letter.event.token)

    def _is_meant(self, query: LetterQuery, identity: tuple[str, str, str]) -> bool:
        subscription, route, _ = identity
        fate = self._vault.fates[identity]
        return (
            query.subscription in {None, subscription}
            and (not query.routes or route in query.routes)
            and (not query.statuses or fate.status in query.statuses)
            and (query.not_operation is None or fate.operation != query.not_operation)
            and query.forwarded in {None, fate.forwarded}
        )

    def _stored(self, identity: tuple[str, str, str]) -> StoredDeadLetter:
        letter, fate = self._vault.letters[identity], self._vault.fates[identity]
        return StoredDeadLetter(
            letter,
            letter.event.key,
            datetime.fromtimestamp(0, UTC),
            fate.status,
            id=letter_id(*identity),
            superseded_by=fate.superseded_by,
            operation=fate.operation,
            forwarded=fate.forwarded,
        )

    def _save(self, save: Save, lease_secs: float) -> bool:
        lease = save.lease
        row = self._vault.leases[lease.subscription]
        if row.epoch != lease.epoch:
            return False
        row.until = anyio.current_time() + lease_secs
        self._vault.positions.setdefault(lease.subscription, {}).update(save.positions)
        self._witness.saved(lease.subscription, save.positions)
        return True

    async def _there(self, call: str) -> None:
        self.calls[call] += 1
        await anyio.sleep(self._latency_secs * self._rng.random())
        trouble = self._vault.trouble(call)
        if trouble is not None and trouble.kind == "hanging":
            await anyio.sleep_until(trouble.end)
        if self._is_dead() or (trouble is not None and trouble.kind not in _TAKES_EFFECT):
            raise Unreachable("the store is away")

    async def _back(self, call: str) -> None:
        await anyio.sleep(self._latency_secs * self._rng.random())
        trouble = self._vault.trouble(call)
        if trouble is not None and trouble.kind == "late_answer":
            await anyio.sleep_until(trouble.end)
        if trouble is not None and trouble.kind == "lost_answer":
            raise Unreachable("the store's answer was lost")


def _held_key(key: bytes, letters: Sequence[DeadLetter]) -> HeldKey:
    held = sum(letter.held_behind is not None for letter in letters)
    return HeldKey(key, len(letters) - held, held, letters[0].event.id, letters[0].event.token)


def _matches(letter: DeadLetter, match: Mapping[str, Any]) -> bool:
    return selects(parse(match), {"route": letter.route, "held_behind": letter.held_behind})
