"""Deliberate mistakes in the sinks that hold states and files; see `tests.mutants.table`."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["SINK_MUTANTS"]

AGGREGATION = "sinks/mongodb/aggregation.py"
CALLS = "sinks/redis/calls.py"
INVALIDATION = "sinks/redis/invalidation.py"
SCRIPTS = "sinks/redis/scripts.py"
WRITES = "sinks/mongodb/writes.py"
LINES = "sinks/file/line_file.py"
PARQUET = "sinks/file/parquet_files.py"

AGGREGATES = "tests/sinks/test_mongodb_aggregate.py"
CRASHES = "tests/sinks/test_file_crashes.py"
IN_MONGODB = "tests/sinks/test_mongodb.py"
IN_REDIS = "tests/sinks/test_redis_modes.py"
NEVER_BACK = "no event, late or replayed, brings back an older state"

SINK_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a later event overtakes an item",
        "order by document",
        "sinks/fanning_out.py",
        "                    waiting[part.event.key] = answer\n",
        "                    pass\n",
        "tests/sinks/test_fanning_out.py::test_behind_what_is_tried_again_nothing_of_its_key_goes_out",
    ),
    Mutant(
        "an aggregate counts what comes again",
        "whatever comes again, it counts once",
        AGGREGATION,
        """known["token"] > event.token):
            return
""",
        """known["token"] > event.token):
            pass
""",
        f"{AGGREGATES}::test_groups_are_what_a_query_over_the_documents_gives",
    ),
    Mutant(
        "an aggregate finds nothing anew",
        "a least value that is taken out is found anew",
        AGGREGATION,
        "                    self.lost.add(name)\n",
        "                    pass\n",
        f"{AGGREGATES}::test_groups_are_what_a_query_over_the_documents_gives",
    ),
    Mutant(
        "an aggregate is written without a transaction",
        "a batch that fails changes nothing",
        "sinks/mongodb/contributions.py",
        "        await groups.bulk_write(updates, session=session)\n",
        "        await groups.bulk_write(updates)\n",
        f"{AGGREGATES}::test_a_batch_that_fails_changes_nothing_and_may_come_again",
    ),
    Mutant(
        "a late event writes its cache entry",
        NEVER_BACK,
        SCRIPTS,
        "if not fails(key, index, known) and not (known and is_before(token, known)) then",
        "if not fails(key, index, known) then",
        f"{IN_REDIS}::test_an_entry_never_goes_back_in_time",
    ),
    Mutant(
        "a delete forgets its token",
        NEVER_BACK,
        SCRIPTS,
        "            fails(key, index, remember(guard, token, marker_ttl))\n",
        "            fails(key, index, redis.pcall('UNLINK', guard))\n",
        f"{IN_REDIS}::test_an_entry_never_goes_back_in_time",
    ),
    Mutant(
        "a token goes with its entry",
        NEVER_BACK,
        SCRIPTS,
        "remember(guard, token, ttl > 0 and ttl + marker_ttl or 0)",
        "remember(guard, token, ttl)",
        f"{IN_REDIS}::test_entries_expire_and_their_tokens_later",
    ),
    Mutant(
        "a repetition is old news",
        "a repetition writes what its first try may not have written",
        SCRIPTS,
        "    return #one < #other\n",
        "    return #one <= #other\n",
        f"{IN_REDIS}::test_a_repetition_writes_again",
    ),
    Mutant(
        "a list is trimmed in silence",
        "what cannot be bounded is said",
        SCRIPTS,
        "            fails(number, last[number], redis.pcall('LTRIM', KEYS[number], '-' .. maxlen, '-1'))\n",
        "            redis.pcall('LTRIM', KEYS[number], '-' .. maxlen, '-1')\n",
        f"{IN_REDIS}::test_a_list_that_cannot_be_trimmed_is_said",
    ),
    Mutant(
        "a stream that was made once has its groups for ever",
        "every stream has its groups",
        SCRIPTS,
        "    if not asked and redis.call('EXISTS', key) == 1 then return end\n",
        "    if not asked then return end\n",
        f"{IN_REDIS}::test_every_stream_has_its_groups",
    ),
    Mutant(
        "a value is a pattern",
        "values of an event are no patterns",
        INVALIDATION,
        "[KeyTemplate(text, _escaped_for_glob) for text in options.patterns]",
        "[KeyTemplate(text) for text in options.patterns]",
        f"{IN_REDIS}::test_keys_and_patterns_are_deleted",
    ),
    Mutant(
        "one call reaches every node",
        "a call names keys of one slot",
        CALLS,
        "        if not self._is_cluster:\n",
        "        if True:\n",
        "tests/sinks/test_redis_cluster.py::test_a_batch_reaches_every_node_and_each_stream_in_order",
    ),
    Mutant(
        "a late event writes its document",
        NEVER_BACK,
        WRITES,
        '        is_later = {"$gt": [_TOKEN, {"$literal": event.token}]}\n',
        "        is_later = False\n",
        f"{IN_MONGODB}::test_a_guarded_document_never_goes_back_in_time",
    ),
    Mutant(
        "a deleted document leaves nothing",
        NEVER_BACK,
        WRITES,
        "        if self._marker_secs is None:\n            return DeleteOne(which)\n",
        "        if self._marker_secs or not self._marker_secs:\n            return DeleteOne(which)\n",
        f"{IN_MONGODB}::test_a_guarded_document_never_goes_back_in_time",
    ),
    Mutant(
        "a repeated insert is refused",
        "a repetition is known by its id",
        WRITES,
        "    is_repeatable = True\n",
        "    is_repeatable = False\n",
        f"{IN_MONGODB}::test_an_event_is_a_document_with_the_types_of_extended_json",
    ),
    Mutant(
        "a Parquet file has its name from the start",
        "a reader finds whole files, or none",
        PARQUET,
        '        self._part = path.parent / f".{path.name}.part"\n',
        '        self._part = path.parent / f"{path.stem}.20000101T000000Z-0000.parquet"\n',
        f"{CRASHES}::test_no_half_file_and_nothing_acknowledged_is_lost_after_sigkill",
    ),
    Mutant(
        "a restart forgets when a file was begun",
        "files are rotated by time",
        LINES,
        "os.fstat(fd).st_mtime // every != time.time() // every",
        "False",
        "tests/sinks/test_file.py::test_a_new_file_is_begun_when_its_time_has_come",
    ),
)
