"""A change of state is told once, one that comes and goes hardly ever; the last word is true in the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventbus.notices.changes import Changes
from eventbus.notices.kinds import KINDS, Nature
from eventbus.telemetry.notices import Notice, NoticeKind

OPENED, CLOSED = NoticeKind.CIRCUIT_OPENED, NoticeKind.CIRCUIT_CLOSED
STARTED, STOPPED = NoticeKind.SUBSCRIPTION_STARTED, NoticeKind.SUBSCRIPTION_STOPPED
CRASHED, GAP = NoticeKind.SUBSCRIPTION_CRASHED, NoticeKind.GAP_RECORDED
INTERVAL_SECS = 60.0


class Teller:
    """What is told of one route, as text: the kind, and how many changes it stands for if not one."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.suppressed: list[NoticeKind] = []
        self.changes = Changes(INTERVAL_SECS, self.suppressed.append)

    def see(self, kind: NoticeKind, now: float, *, route: str = "feed") -> None:
        """Something changes; what is due before comes first."""
        self.wait(now)
        told = self.changes.noticed(Notice(kind, "a reason", "orders", route), now, 1e9 + now)
        if told is not None:
            self._keep(told.notice.kind, told.changes)

    def wait(self, now: float) -> None:
        """It is later."""
        for told in self.changes.due(now):
            self._keep(told.notice.kind, told.changes)

    def _keep(self, kind: NoticeKind, changes: int) -> None:
        self.told.append(kind.value if changes == 1 else f"{kind.value} x{changes}")


@pytest.fixture
def teller() -> Teller:
    """Nothing is told yet."""
    return Teller()


def test_a_state_is_told_when_it_begins_and_when_it_ends_and_not_each_time_it_is_seen(teller: Teller) -> None:
    """A life that begins anew sees it again."""
    for kind, now in ((OPENED, 0.0), (OPENED, 100.0), (CLOSED, 200.0), (CLOSED, 300.0), (OPENED, 400.0)):
        teller.see(kind, now)
    assert teller.told == ["circuit_opened", "circuit_closed", "circuit_opened"]


def test_the_end_of_what_nobody_was_told_of_is_not_told(teller: Teller) -> None:
    """Else each start would tell of circuits that are closed."""
    teller.see(CLOSED, 0.0)
    assert teller.told == []
    assert teller.suppressed == []


def test_each_route_is_told_of_by_itself(teller: Teller) -> None:
    """The interval is that of one thing."""
    teller.see(OPENED, 0.0)
    teller.see(OPENED, 1.0, route="hook")
    assert teller.told == ["circuit_opened"] * 2


def test_what_comes_and_goes_is_told_once_an_interval(teller: Teller) -> None:
    """A thousand times in a minute and a half: one pair, and one more that says how often it changed."""
    for number in range(900):
        teller.see(OPENED, number / 10)
        teller.see(CLOSED, number / 10 + 0.05)
    assert teller.told[:3] == ["circuit_opened", "circuit_closed", "circuit_opened x1199"]
    assert teller.told[3:] == ["circuit_closed"]
    assert len(teller.suppressed) == 898


def test_what_was_held_and_lasts_is_told_when_the_interval_is_over(teller: Teller) -> None:
    """No sooner, and with its own beginning."""
    teller.see(OPENED, 0.0)
    teller.see(CLOSED, 1.0)
    teller.see(OPENED, 2.0)
    assert teller.changes.next_due == INTERVAL_SECS
    teller.wait(INTERVAL_SECS - 0.1)
    assert teller.told == ["circuit_opened", "circuit_closed"]
    (told,) = teller.changes.due(INTERVAL_SECS)
    assert (told.notice.kind, told.since) == (OPENED, 1e9 + 2.0)
    assert teller.changes.due(10 * INTERVAL_SECS) == []
    ended = teller.changes.noticed(Notice(CLOSED, "", "orders", "feed"), 700.0, 1e9 + 700.0)
    assert ended is not None
    assert (ended.began, ended.since) == (1e9 + 2.0, 1e9 + 700.0)


def test_a_crash_loop(teller: Teller) -> None:
    """The first start is told, then a crash and its end; a stop is told in any case."""
    teller.see(STARTED, 0.0)
    for number in range(1, 6):
        teller.see(CRASHED, 10.0 * number)
        teller.see(STARTED, 10.0 * number + 5.0)
    teller.see(STOPPED, 56.0)
    assert teller.told == [
        "subscription_started",
        "subscription_crashed",
        "subscription_started",
        "subscription_stopped x9",
    ]


def test_events_of_an_interval_are_told_together(teller: Teller) -> None:
    """The newest stands for those before it, and none is dropped without being counted."""
    for now in (0.0, 1.0, 2.0, 3.0):
        teller.see(GAP, now)
    teller.wait(INTERVAL_SECS)
    teller.see(GAP, 3 * INTERVAL_SECS)
    assert teller.told == ["gap_recorded", "gap_recorded x3", "gap_recorded"]
    assert teller.suppressed == [GAP, GAP]


def test_what_is_no_more_is_forgotten(teller: Teller) -> None:
    """One that comes back under its name is told of anew, and what was held of it is not told at all."""
    for kind, now in ((OPENED, 0.0), (CLOSED, 1.0), (OPENED, 2.0)):
        teller.see(kind, now)
    teller.see(OPENED, 2.0, route="hook")
    teller.changes.forget("orders", "feed")
    teller.wait(INTERVAL_SECS)
    teller.see(OPENED, 70.0)
    teller.see(OPENED, 70.0, route="hook")
    assert teller.told == ["circuit_opened", "circuit_closed", "circuit_opened", "circuit_opened"]


@example([(OPENED, 1.0), (CLOSED, 1.0), (OPENED, 1.0), (CLOSED, 1.0)])
@given(st.lists(st.tuples(st.sampled_from([OPENED, CLOSED]), st.floats(0.0, 50.0)), max_size=30))
def test_whatever_happens_the_last_word_is_true_and_words_are_few(
    steps: list[tuple[NoticeKind, float]],
) -> None:
    """An interval after the last change nobody believes what is not so, and no problem follows another."""
    teller, now, opened = Teller(), 0.0, []
    for kind, after_secs in steps:
        now += after_secs
        before = len(teller.told)
        teller.see(kind, now)
        opened += [now] * sum(word.startswith("circuit_opened") for word in teller.told[before:])
    teller.wait(now + INTERVAL_SECS)
    words = [word.partition(" ")[0] for word in teller.told]
    is_open = bool(steps) and steps[-1][0] is OPENED
    assert (words[-1:] == ["circuit_opened"]) is is_open
    assert all(one != other for one, other in pairwise(words))
    assert len(opened) <= now / INTERVAL_SECS + 1


def test_every_problem_has_an_end_and_every_kind_a_meaning() -> None:
    """A problem without a kind that ends it would be told once in the life of the process."""
    assert KINDS.keys() == set(NoticeKind)
    ends = {
        meaning.topic
        for meaning in KINDS.values()
        if meaning.nature in {Nature.RECOVERY, Nature.ANNOUNCEMENT}
    }
    assert {meaning.topic for meaning in KINDS.values() if meaning.nature is Nature.PROBLEM} <= ends
