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
        "        if answer.status in _DIVIDED and len(messages) > 1:\n",
        "        if False:\n",
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
)
