"""Deliberate mistakes in what operators are told."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["NOTICE_MUTANTS"]

CHANGES = "tests/notices/test_changes.py"
SENDING = "tests/notices/test_sending.py"

NOTICE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "notices: a state is told whenever it is met",
        "a state is told when it begins and when it ends",
        "notices/changes.py",
        "if nature is Nature.PROBLEM and is_known:",
        "if nature is Nature.PROBLEM and state.held is not None:",
        f"{CHANGES}::test_a_state_is_told_when_it_begins_and_when_it_ends_and_not_each_time_it_is_seen",
    ),
    Mutant(
        "notices: what was held is told though it is over",
        "what was told last is true in the end",
        "notices/changes.py",
        "            self._let_go(subject, state)\n",
        "            pass\n",
        f"{CHANGES}::test_what_comes_and_goes_is_told_once_an_interval",
    ),
    Mutant(
        "notices: one that a reload interrupts is lost",
        "what waits goes to the next sink",
        "notices/outbox.py",
        "        if self._is_wanted(queued.kind):\n            self._queue.appendleft(queued)",
        "        if not self._is_wanted(queued.kind):\n            self._queue.appendleft(queued)",
        f"{SENDING}::test_a_sink_that_is_closed_by_a_reload_is_let_go_first_and_what_waited_goes_to_the_next",
    ),
    Mutant(
        "notices: the sink's own absence is told to it",
        "a notice about the notices' own sink is none",
        "notices/outbox.py",
        'KINDS[notice.kind].topic == "sink" and notice.sink == self.section.sink',
        'KINDS[notice.kind].topic == "sink" and notice.sink == ""',
        f"{SENDING}::test_a_sink_that_is_away_delays_nobody_and_notices_nothing_of_itself",
    ),
)
