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
)
