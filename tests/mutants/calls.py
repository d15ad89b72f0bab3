"""Deliberate mistakes in the stages that call what is not ours."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["CALL_MUTANTS"]

CALLING = "stages/python/calling.py"
RESULTS = "stages/python/results.py"
STAGE = "stages/python/stage.py"
THREADS = "stages/python/threads.py"
ANSWERS = "stages/http_lookup/answers.py"
ASKING = "stages/http_lookup/asking.py"
CONNECTION = "http/connection.py"
HTTP_STAGE = "stages/http_lookup/stage.py"
KNOWN = "stages/http_lookup/known.py"
REQUESTS = "stages/http_lookup/requests.py"

SERVICES = "tests/stages/test_http_lookup.py"
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
    Mutant(
        "values go into an address as they are",
        "a value stays a value in its place",
        REQUESTS,
        'lambda value: quote(value, safe="")',
        'lambda value: quote(value, safe="/?&=")',
        f"{SERVICES}::test_each_question_is_asked_once_and_its_values_are_percent_encoded",
    ),
    Mutant(
        "a value may be the folder above",
        "a value leads to no other place",
        REQUESTS,
        "if _dots_in(target) > self._dots:",
        "if False:",
        f"{SERVICES}::test_a_value_leads_to_no_other_place",
    ),
    Mutant(
        "every event asks",
        "each question is asked once",
        HTTP_STAGE,
        "unknown = [request for request, answer in answers.items() if answer is None]",
        "unknown = [request for request in requests if answers[request] is None]",
        f"{SERVICES}::test_each_question_is_asked_once_and_its_values_are_percent_encoded",
    ),
    Mutant(
        "what was answered for a batch that waits is asked again",
        "a batch comes to its end",
        KNOWN,
        "        self._in_hand[request] = answer\n",
        "",
        f"{SERVICES}::test_a_service_that_is_away_is_waited_for_and_the_stage_says_so",
    ),
    Mutant(
        "a refusal parks",
        "what is away is waited for",
        ANSWERS,
        "_AWAY: Final = frozenset({401, 403, 407, 408, 425, 429})",
        "_AWAY: Final = frozenset({408, 425, 429})",
        f"{SERVICES}::test_a_service_that_is_away_is_waited_for_and_the_stage_says_so",
    ),
    Mutant(
        "a service is asked when it wants to be left alone",
        "Retry-After is honoured",
        ASKING,
        "        await anyio.sleep(max(0.0, self._not_before - anyio.current_time()))\n",
        "",
        f"{SERVICES}::test_a_service_is_left_alone_for_as_long_as_it_asks",
    ),
    Mutant(
        "an open breaker lets requests through",
        "a service that is away is left alone",
        ASKING,
        "if state is CircuitState.OPEN or (state is CircuitState.HALF_OPEN and self._is_probing):",
        "if False:",
        f"{SERVICES}::test_with_a_breaker_events_go_on_without_an_answer",
    ),
    Mutant(
        "an answer that breaks off is a whole one",
        "no event pays for a connection",
        CONNECTION,
        "        return self._is_at_end and not has_length\n",
        "        return self._is_at_end\n",
        f"{SERVICES}::test_an_answer_that_breaks_off_is_none",
    ),
    Mutant(
        "answers may be of any size",
        "an answer is bounded",
        ANSWERS,
        "    if not reply.is_whole:\n",
        "    if False:\n",
        f"{SERVICES}::test_an_answer_becomes_what_it_means",
    ),
)
