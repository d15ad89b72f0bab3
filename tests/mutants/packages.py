"""Deliberate mistakes in the packages beside eventbus."""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

__all__ = ["PACKAGE_MUTANTS"]

_PACKAGE: Final = "plugins/eventbus-elasticsearch"
_SOURCE: Final = f"../{_PACKAGE}/src/eventbus_elasticsearch"
_TESTS: Final = f"{_PACKAGE}/tests/test_elasticsearch"
ACTIONS: Final = f"{_SOURCE}/actions.py"
OUTCOMES: Final = f"{_SOURCE}/outcomes.py"
SINK: Final = f"{_SOURCE}/sink.py"

_API_PACKAGE: Final = "plugins/eventbus-source-http"
_API: Final = f"../{_API_PACKAGE}/src/eventbus_source_http"
_API_TESTS: Final = f"{_API_PACKAGE}/tests/test_http_source.py"
_API_HOSTILE: Final = f"{_API_PACKAGE}/tests/test_http_hostile.py"

_NATS_PACKAGE: Final = "plugins/eventbus-nats"
_NATS: Final = f"../{_NATS_PACKAGE}/src/eventbus_nats"
_NATS_TESTS: Final = f"{_NATS_PACKAGE}/tests/test_nats_sink.py"

PACKAGE_MUTANTS: Final = (
    Mutant(
        "an index takes no second change of a transaction",
        "the last change of a transaction stays",
        ACTIONS,
        '"version_type": "external_gte"',
        '"version_type": "external"',
        f"{_TESTS}_sink.py::test_the_changes_of_a_transaction_take_effect_in_their_order",
    ),
    Mutant(
        "an index takes whatever comes last",
        "a document never goes back in time",
        ACTIONS,
        "        if version is not None:\n",
        "        if False:\n",
        f"{_TESTS}_sink.py::test_a_document_never_goes_back_in_time",
    ),
    Mutant(
        "a conflict of an update counts as delivered",
        "delivered means by the target's own word",
        OUTCOMES,
        '    if kind == _CONFLICT and (is_versioned or name == "create"):\n',
        "    if kind == _CONFLICT:\n",
        f"{_TESTS}_choices.py::test_what_is_there_already_is_delivered",
    ),
    Mutant(
        "the server's reason is repeated",
        "no value of a document in a reason",
        OUTCOMES,
        '    return Rejected(f"refused: {said}{_where(reason)}")\n',
        '    return Rejected(f"refused: {said}: {reason}")\n',
        f"{_TESTS}_choices.py::test_what_is_refused_is_told_without_values",
    ),
    Mutant(
        "a document that is too large takes its request with it",
        "a refused message takes no other with it",
        SINK,
        "        elif answer.status in _DIVIDED and len(messages) > 1:\n",
        "        elif False:\n",
        f"{_TESTS}_answers.py::test_a_request_that_is_too_large_is_divided",
    ),
    Mutant(
        "a value that a page cuts is whole",
        "whoever begins at a position is given exactly what comes behind",
        f"{_API}/reader.py",
        "            items = self._whole(items)\n",
        "            items = list(items)\n",
        f"{_API_TESTS}::TestHttpSource",
    ),
    Mutant(
        "a time is read at once",
        "nothing comes between what was read",
        f"{_API}/reader.py",
        "total_seconds() - self._options.settle",
        "total_seconds()",
        f"{_API_TESTS}::test_a_time_is_read_when_it_is_settled",
    ),
    Mutant(
        "items that were given are given again",
        "whoever begins at a position is given exactly what comes behind",
        f"{_API}/reader.py",
        "if token > self._end.token]",
        "if token >= self._end.token]",
        f"{_API_TESTS}::TestHttpSource",
    ),
    Mutant(
        "an API that asks for patience is asked again as any other",
        "Retry-After is honoured",
        f"{_API}/reader.py",
        "max(refusal.wait_secs or 0.0, ",
        "max(0.0, ",
        f"{_API_TESTS}::test_it_is_left_alone_as_long_as_it_asks",
    ),
    Mutant(
        "pages stand still while they are read",
        "nothing is lost between two pages",
        f"{_API}/reader.py",
        "        if read.pages > 1 and (fresh or moves):\n",
        "        if False:\n",
        f"{_API_HOSTILE}::test_an_item_that_leaves_a_page_takes_no_other_out_of_sight",
    ),
    Mutant(
        "a token goes wherever the next page is",
        "a secret goes to whom it is for",
        f"{_API}/api.py",
        "        if is_elsewhere:\n",
        "        if False:\n",
        f"{_API_HOSTILE}::test_a_next_page_that_is_none_of_this_server_is_not_asked_for",
    ),
    Mutant(
        "a message needs no id",
        "what comes again is in the stream once",
        f"{_NATS}/sink.py",
        "            (_ID, message_id.encode()),\n",
        "",
        f"{_NATS_TESTS}::test_what_comes_again_is_in_the_stream_once",
    ),
    Mutant(
        "ids are words of a subject",
        "no two events have one id",
        f"{_NATS}/sink.py",
        "KeyTemplate(options.message_id, _as_text)",
        "KeyTemplate(options.message_id, _as_word)",
        f"{_NATS_TESTS}::test_no_two_ids_become_one",
    ),
    Mutant(
        "what is not acknowledged is delivered",
        "delivered means by the target's own word",
        f"{_NATS}/sink.py",
        "[missing if outcome is None else outcome for outcome in outcomes]",
        "[DELIVERED if outcome is None else outcome for outcome in outcomes]",
        f"{_NATS_TESTS}::test_wrong_credentials_and_missing_rights_are_told_apart",
    ),
    Mutant(
        "any stream may take a message",
        "a message goes where users said",
        f"{_NATS}/sink.py",
        "                stream=self._stream,\n",
        "",
        f"{_NATS_TESTS}::test_a_stream_that_must_take_them_is_the_only_one",
    ),
    Mutant(
        "a message that is too large waits for a larger stream",
        "a message that is refused for good is a dead letter",
        f"{_NATS}/outcomes.py",
        "    10054: Failure.TOO_LARGE,  # the stream's max_msg_size\n",
        "",
        f"{_NATS_TESTS}::test_what_is_larger_than_the_stream_takes_is_refused",
    ),
    Mutant(
        "a full stream is the message's fault",
        "an outage spends no event's retries",
        f"{_NATS}/outcomes.py",
        "Fault.UNAVAILABLE if (error.code or 0) >= 500 else Fault.FAILED",
        "Fault.FAILED",
        f"{_NATS_TESTS}::test_what_is_larger_than_the_stream_takes_is_refused",
    ),
    Mutant(
        "a value may be several words of a subject",
        "a value changes no subject's meaning",
        f"{_NATS}/sink.py",
        """"_" if sign in ".*>" or""",
        """"_" if sign in "*>" or""",
        f"{_NATS_TESTS}::test_values_are_single_words_of_a_subject",
    ),
    Mutant(
        "a stream that was there is there",
        "a sink goes on when its target can work again",
        f"{_NATS}/sink.py",
        "connection.is_unsure or NO_STREAM in outcomes",
        "connection.is_unsure",
        f"{_NATS_TESTS}::test_a_stream_that_is_deleted_is_made_again",
    ),
    Mutant(
        "a cluster without room for an index refuses its documents",
        "an outage spends no event's retries",
        OUTCOMES,
        '    "validation_exception": (\n        Fault.UNAVAILABLE,\n',
        '    "validation": (\n        Fault.UNAVAILABLE,\n',
        f"{_TESTS}_choices.py::test_whose_fault_a_failure_is",
    ),
)
