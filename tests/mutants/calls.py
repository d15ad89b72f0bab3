"""Deliberate mistakes in the stages that call what is not ours."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["CALL_MUTANTS"]

CALLING = "stages/python/calling.py"
RESULTS = "stages/python/results.py"
STAGE = "stages/python/stage.py"
THREADS = "stages/python/threads.py"

FUNCTIONS = "tests/stages/test_python.py"

CALL_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a function is called in the loop",
        "a function that blocks does not hold up the daemon",
        CALLING,
        "call() if self._is_async else await self._threads.call(call)",
        "call()",
        f"{FUNCTIONS}::test_one_that_blocks_is_given_up_and_the_loop_goes_on",
    ),
    Mutant(
        "the text of what a function raised is shown",
        "a reason shows no value of a document",
        CALLING,
        'Failed(f"raised {type(error).__name__}{where}")',
        'Failed(f"raised {error!r}{where}")',
        f"{FUNCTIONS}::test_what_it_raises_is_told_by_type_and_line_and_takes_no_other_event_along",
    ),
    Mutant(
        "calls that were given up are forgotten",
        "threads are bounded",
        THREADS,
        "                self.abandoned += 1\n",
        "                pass\n",
        f"{FUNCTIONS}::test_too_many_that_were_given_up_are_waited_for_and_the_stage_says_so",
    ),
    Mutant(
        "what took too long is tried again with its batch",
        "a batch comes to its end",
        STAGE,
        "            self._given_up[event.id] = parked\n",
        "            pass\n",
        f"{FUNCTIONS}::test_too_many_that_were_given_up_are_waited_for_and_the_stage_says_so",
    ),
    Mutant(
        "an exit waits for every call",
        "a daemon that is told to stop does so",
        THREADS,
        "daemon=True",
        "daemon=False",
        f"{FUNCTIONS}::test_an_exit_waits_for_no_call_that_was_given_up",
    ),
    Mutant(
        "a batch of the wrong length is cut to fit",
        "nobody gets another event's result",
        STAGE,
        "if isinstance(several, list | tuple) and len(several) == len(events):",
        "if isinstance(several, list | tuple) and len(several) >= len(events):",
        f"{FUNCTIONS}::TestBatches",
    ),
    Mutant(
        "a function may name another document",
        "the document of an event stays the one it is",
        RESULTS,
        'if "_id" in part and not _is_same(part["_id"], before["_id"]):',
        "if False:",
        f"{FUNCTIONS}::test_what_it_returns_decides",
    ),
)
