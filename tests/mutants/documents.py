"""Deliberate mistakes in what is read of a change and in whom it is read from; see `tests.mutants.table`."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["DOCUMENT_MUTANTS"]

ACCESS = "config/mongodb_access.py"
COURSE = "sources/mongodb/course.py"
CURSOR = "sources/mongodb/cursor.py"
DELTA = "sources/mongodb/delta.py"
LOOKUPS = "sources/mongodb/lookups.py"
MEMBER = "sources/mongodb/member.py"
STREAM = "sources/mongodb/stream.py"
TOKENS = "sources/mongodb/tokens.py"
USUAL = "sources/mongodb/usual.py"

CLIENTS = "tests/sources/test_mongodb_client.py"
DETAILS = "tests/sources/test_mongodb_details.py"
OLD_VALUES = f"{DETAILS}::test_old_values"
ONE_MEMBER = "a cursor's commands reach the member that has it"
OLD_AND_NEW = "delta tells what was there before"

DOCUMENT_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "any member will do",
        ONE_MEMBER,
        MEMBER,
        "        if len(suitable) < 2:\n",
        "        if suitable:\n",
        f"{CLIENTS}::test_one_member_is_asked_for_as_long_as_it_suits",
    ),
    Mutant(
        "the nearest at the moment is asked",
        ONE_MEMBER,
        MEMBER,
        "            self._chosen = found[0].address\n",
        "            pass\n",
        f"{CLIENTS}::test_one_member_is_asked_for_as_long_as_it_suits",
    ),
    Mutant(
        "the primary is asked for what a secondary has",
        ONE_MEMBER,
        CURSOR,
        "codec_options=_RAW, read_preference=database.read_preference",
        "codec_options=_RAW",
        f"{CLIENTS}::test_a_secondary_is_read",
    ),
    Mutant(
        "no name has a dot",
        OLD_AND_NEW,
        DELTA,
        "range(1, min(most, len(parts)) + 1)",
        "range(1, 2)",
        OLD_VALUES,
    ),
    Mutant(
        "the server's word about a path is not heard",
        OLD_AND_NEW,
        DELTA,
        "        parts = self._disambiguated.get(path)\n",
        "        parts = None\n",
        OLD_VALUES,
    ),
    Mutant(
        "an array that is cut short loses nothing",
        OLD_AND_NEW,
        DELTA,
        "                if index >= size:\n",
        "                if index > size:\n",
        OLD_VALUES,
    ),
    Mutant(
        "an update holds nothing but what was set and removed",
        "the quick decoder and the general one agree",
        USUAL,
        "        if not buffer.startswith(_NOTHING_TRUNCATED, end + 15 + removed_length):\n",
        "        if False:\n",
        "tests/sources/test_mongodb_change.py::test_what_an_update_tells_besides",
    ),
    Mutant(
        "what is missing is delivered all the same",
        "lookup_missing is obeyed",
        LOOKUPS,
        "            return Filtered(slot.event)\n",
        "            return slot\n",
        f"{DETAILS}::test_a_document_that_is_gone_when_it_is_looked_up",
    ),
    Mutant(
        "the number in a token is the number",
        "a change knows its place in its transaction",
        TOKENS,
        ", 16) >> 1 if match",
        ", 16) if match",
        "tests/sources/test_mongodb_tokens.py",
    ),
    Mutant(
        "a heartbeat is a change like any other",
        "what is the daemon's own is never delivered",
        STREAM,
        "_without(own_collection, options),\n",
        "(),\n",
        "tests/sources/test_mongodb_options.py",
    ),
    Mutant(
        "a name of its own goes with the certificate of the other",
        "the state is reached as it is told",
        ACCESS,
        "others = _WHO_WE_ARE if _WHO_WE_ARE & own.keys() else set()",
        "others = set()",
        "tests/config/test_mongodb.py",
    ),
    Mutant(
        "a poll need not bring more than a few changes",
        "the daemon keeps up with a bare loop",
        COURSE,
        "_BATCH: Final = 1000",
        "_BATCH: Final = 5",
        "tests/e2e/test_throughput.py",
    ),
)
