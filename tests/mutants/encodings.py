"""Deliberate mistakes in what messages look like; see `tests.mutants.table`."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["ENCODING_MUTANTS"]

ASSEMBLY = "assembly.py"
BODY = "encoding/body.py"
CLAIMING = "sinks/claiming.py"
CLAIMS = "state/mongodb_claims.py"
CHOICE = "encoding/choice.py"
DEBEZIUM = "encoding/debezium.py"
MESSAGES = "runtime/messages.py"
DOCUMENT = "encoding/document.py"
HEADERS = "encoding/headers.py"
PLAIN = "encoding/plain.py"
PROJECTION = "encoding/projection.py"
REGISTERING = "sinks/registering.py"

STORED_FIRST = "no message refers to what is not there"
NO_NAN = "no JSON has bare NaN, and no number that readers round"
LEFT_OUT = "what was left out is nowhere in the message"
NO_LOSS = "a change that has no form is left out only where nothing could be said"

ENCODING_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a message goes out though its content is not stored",
        STORED_FIRST,
        CLAIMING,
        "takewhile(lambda message: message.claim is None, messages)",
        "takewhile(lambda message: True, messages)",
        "tests/sinks/test_claiming.py::test_what_cannot_be_stored_waits_and_what_is_behind_it",
    ),
    Mutant(
        "a file is told of before its pieces are there",
        STORED_FIRST,
        CLAIMS,
        "            if kept.matched_count != _piece_count(claim):\n                return False\n",
        "",
        "tests/state/test_mongodb_claims.py::test_several_at_once_and_what_was_broken_off",
    ),
    Mutant(
        "content is kept for as long as when it was first told of",
        STORED_FIRST,
        CLAIMS,
        'files.update_one({"_id": claim.id}, {"$max": {"expires_at": expires_at}})',
        'files.update_one({"_id": claim.id}, {"$min": {"expires_at": expires_at}})',
        "tests/state/test_mongodb_claims.py::test_content_comes_back_by_any_driver",
    ),
    Mutant(
        "NaN is null",
        NO_NAN,
        PLAIN,
        "    return _written(_safe(document)) if is_suspect else text\n",
        "    return text\n",
        "tests/encoding/test_json_modes.py::test_nan_deep_in_a_document_is_text",
    ),
    Mutant(
        "numbers are numbers, however large",
        NO_NAN,
        PLAIN,
        "_LARGEST_SAFE: Final = 2**53 - 1",
        "_LARGEST_SAFE: Final = 2**63",
        "tests/encoding/test_json_modes.py::test_each_type_has_its_form",
    ),
    Mutant(
        "what an update tells is not projected",
        LEFT_OUT,
        PROJECTION,
        "changed=self._changed(event.changed) if event.document_key is not None else event.changed",
        "changed=event.changed",
        "tests/encoding/test_projection.py::test_what_an_update_tells_is_projected_by_its_paths",
    ),
    Mutant(
        "arrays of documents are not looked into",
        LEFT_OUT,
        PROJECTION,
        "        return [_without_in(item, tree) for item in value]\n",
        "        return value\n",
        "tests/encoding/test_projection.py::test_all_fields_but_those_that_are_named",
    ),
    Mutant(
        "a place in an array is not looked at",
        LEFT_OUT,
        PROJECTION,
        "    if isinstance(value, list) and _has_places(tree):\n",
        "    if False:\n",
        "tests/encoding/test_projection.py::test_a_place_in_an_array_is_left_out",
    ),
    Mutant(
        "an update without its document is left out",
        NO_LOSS,
        DOCUMENT,
        '            raise EncodingError(f"the {event.operation} came',
        '            raise NoForm(f"the {event.operation} came',
        "tests/encoding/test_envelopes.py::test_a_change_that_came_without_its_document_is_parked_and_not_lost",
    ),
    Mutant(
        "what has no form is a dead letter",
        NO_LOSS,
        MESSAGES,
        "        except NoForm:\n            return Filtered(slot.event)\n",
        "",
        "tests/runtime/test_failing_keys.py"
        "::test_what_the_encoding_has_no_form_for_is_left_out_like_what_a_stage_filtered",
    ),
    Mutant(
        "every sink knows tombstones",
        "a delete is told in a form that the sink has",
        DOCUMENT,
        'b"" if tombstones else',
        'b"" if True else',
        "tests/encoding/test_envelopes.py::test_a_delete_is_a_tombstone_where_there_are_any",
    ),
    Mutant(
        "values of headers are as they are",
        "attributes in headers are those of the envelope",
        HEADERS,
        'written = _percent_encoded if prefix == "ce-" else str.encode',
        "written = str.encode",
        "tests/encoding/test_binary_mode.py::test_both_modes_tell_the_same",
    ),
    Mutant(
        "text in a body is put in as it is",
        "no value leaves its place",
        BODY,
        """        return write({"v": tree})[len(b'{"v":') : -len(b"}")]\n""",
        """        return str(tree).replace("'", chr(34)).encode()\n""",
        "tests/encoding/test_body.py::test_no_value_leaves_its_place",
    ),
    Mutant(
        "the time of the envelope is the clock's",
        "the same change gives the same bytes",
        DEBEZIUM,
        '            "ts_ms": event.time_ms,\n            "transaction"',
        '            "ts_ms": __import__("time").time_ns(),\n            "transaction"',
        "tests/encoding/test_debezium.py::test_the_same_change_gives_the_same_bytes",
    ),
    Mutant(
        "routes share encoders whatever their sinks carry",
        "a sink gets what it can carry",
        CHOICE,
        '    return encoding.mode == "binary" or encoding.envelope == "document"\n',
        "    return False\n",
        "tests/config/test_encodings.py::test_routes_of_equal_encoding_share_an_encoder_whatever_their_sinks",
    ),
    Mutant(
        "no route shares an encoder",
        "routes of equal encoding share the work",
        ASSEMBLY,
        "        if key not in self._made:\n",
        "        if True:\n",
        "tests/config/test_encodings.py::test_routes_of_equal_encoding_share_an_encoder_whatever_their_sinks",
    ),
    Mutant(
        "a registry that refuses for now is the operator's business",
        "a registry that is away is waited for",
        REGISTERING,
        "        if response.status in _NEVER:\n",
        "        if response.status >= 400:\n",
        "tests/encoding/test_avro.py::test_what_an_answer_means",
    ),
)
