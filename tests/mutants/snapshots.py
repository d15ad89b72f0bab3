"""Deliberate mistakes in reading documents beside their changes."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["SNAPSHOT_MUTANTS"]

DOCUMENTS = "sources/mongodb/documents.py"
LEASES = "state/mongodb_leases.py"
PACE = "sources/mongodb/pace.py"
READER = "sources/mongodb/snapshot_reader.py"
READS = "sources/mongodb/reads.py"
SPLICE = "sources/mongodb/splice.py"
TOKENS = "sources/mongodb/tokens.py"

CUTS = "tests/sources/test_snapshot_splice.py"
SERVER = "tests/sources/test_mongodb_snapshot.py"

EXACT = "a document is neither older nor newer than the changes around it"
ALL = "every document is read"
SAME = "a document has the same id after every crash"
FORWARD = "positions never go back"
PATIENT = "documents wait where they must"

SNAPSHOT_MUTANTS = (
    Mutant(
        "documents are read as of the end of the batch",
        EXACT,
        SPLICE,
        "place, _tick_before(time))",
        "place, time)",
        CUTS,
    ),
    Mutant(
        "documents as of before the last change come behind it",
        EXACT,
        SPLICE,
        "else batch.end, time)",
        "else batch.end, _tick_before(time))",
        CUTS,
    ),
    Mutant(
        "documents come at the end of every batch",
        EXACT,
        SPLICE,
        "return Splice(bisect_left(batch.tokens, mark.token), place,",
        "return Splice(len(batch), max(place, batch.end, key=lambda one: one.token),",
        CUTS,
    ),
    Mutant(
        "documents come between the changes of a transaction",
        EXACT,
        SPLICE,
        "if cluster_time_of(before.token) >= time and not is_high_water_mark(before.token):",
        "if False:",
        CUTS,
    ),
    Mutant(
        "a poll that brings no change has brought them all",
        EXACT,
        SPLICE,
        "if is_idle and not is_high_water_mark(batch.end.token):",
        "if not batch.slots and not is_high_water_mark(batch.end.token):",
        CUTS,
    ),
    Mutant(
        "the end of a batch is the stream's, whatever was read behind it",
        FORWARD,
        SPLICE,
        "end = batch.end if batch.end.token > before.token else before",
        "end = batch.end",
        CUTS,
    ),
    Mutant(
        "a snapshot that ends without a document ends where it was",
        FORWARD,
        SPLICE,
        "token = next_read(reads[-1].token if reads else splice.place.token)",
        "token = reads[-1].token if reads else splice.place.token",
        CUTS,
    ),
    Mutant(
        "the server is shown the places of documents",
        FORWARD,
        TOKENS,
        'token: dict[str, Any] = {"_data": server_token(position.token)}',
        'token: dict[str, Any] = {"_data": position.token}',
        "tests/sources/test_mongodb_course.py",
    ),
    Mutant(
        "keys are compared by the query language",
        ALL,
        DOCUMENTS,
        'return {"$expr": _compared("$gt", after)} if after else {}',
        'return {"_id": {"$gt": __import__("bson").decode(after)["_id"]}} if after else {}',
        SERVER + "::test_keys_of_all_types",
    ),
    Mutant(
        "a key is no expression",
        ALL,
        DOCUMENTS,
        'return {operator: ["$_id", _literal(key)]}',
        'return {operator: ["$_id", __import__("bson").decode(key)["_id"]]}',
        SERVER + "::test_keys_of_all_types",
    ),
    Mutant(
        "a reply holds all of its range",
        ALL,
        READS,
        "        if reply.cursor_id:\n",
        "        if False:\n",
        SERVER + "::test_large_documents",
    ),
    Mutant(
        "a collection is over with its first round",
        ALL,
        READER,
        "return is_whole and len(keys) < wanted and not found.cursor_id",
        "return is_whole",
        SERVER + "::test_the_knobs_are_turned",
    ),
    Mutant(
        "the id of a document is that of its place",
        SAME,
        READS,
        "                id=read_id(now.id, namespace, key),\n",
        "",
        SERVER + "::test_keys_of_all_types",
    ),
    Mutant(
        "a cancelled call loses the changes in its hand",
        "no change is lost",
        READER,
        "        if self._batch is None:\n            self._stream.wait",
        "        if True:\n            self._stream.wait",
        SERVER + "::test_cancelled_while_documents_are_read",
    ),
    Mutant(
        "documents are read however late the changes are",
        PATIENT,
        PACE,
        "server.seconds - read.seconds > self._options.pause_on_lag",
        "False",
        SERVER + "::test_changes_alone_while_the_stream_is_behind",
    ),
    Mutant(
        "the rate of a snapshot is for show",
        PATIENT,
        PACE,
        "self._free_at = max(self._free_at, now) + count / self._options.rate",
        "pass",
        "tests/sources/test_snapshot_pace.py",
    ),
    Mutant(
        "a position without a snapshot keeps that of the last one",
        "a snapshot that is forgotten is forgotten",
        "state/position_documents.py",
        'OPTIONAL: Final = ("extra", "snapshot", ',
        'OPTIONAL: Final = ("extra", ',
        "tests/state/test_positions.py",
    ),
    Mutant(
        "a renamed collection is found when it suits",
        ALL,
        READER,
        "        if renamed:\n            self._listed_at = -inf\n",
        "",
        SERVER,
    ),
    Mutant(
        "what a rename hides is not said",
        ALL,
        READER,
        "        self._tell_missed(renamed)\n",
        "",
        SERVER,
    ),
)
