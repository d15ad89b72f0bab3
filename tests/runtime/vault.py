"""The simulated state store: what is durable, and a daemon's way to it, which can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import anyio

from eventbus.errors import Unreachable
from eventbus.model import DeadLetter, Position
from eventbus.state.store import Lease, Save, StoredDeadLetter

__all__ = ["MemoryStore", "StoreTrouble", "Vault", "Witness"]

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


@dataclass(slots=True)
class Vault:
    """What is durable: it outlives every daemon."""

    leases: dict[str, _Row] = field(default_factory=dict)
    positions: dict[str, dict[str, Position]] = field(default_factory=dict)
    letters: dict[tuple[str, str, str], DeadLetter] = field(default_factory=dict)
    troubles: list[StoreTrouble] = field(default_factory=list)

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
        row.owner, row.epoch, row.until = self._owner, row.epoch + 1, now + lease_secs
        lease = Lease(subscription, row.epoch)
        await self._back("acquire")
        return lease

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """See `Store`."""
        await self._there("positions")
        positions = dict(self._vault.positions.get(subscription, {}))
        await self._back("positions")
        return positions

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

    def dead_letters(
        self, *, subscription: str | None = None, route: str | None = None, limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `Store`."""
        raise AssertionError("the engine lists no dead letters")

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
