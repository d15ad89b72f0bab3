"""Deliberate mistakes in the stages that change fields."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["FIELD_MUTANTS"]

CHANGES = "stages/changes.py"
CONVERSION = "stages/conversion.py"
DATE = "stages/date.py"
DATES = "stages/dates.py"
FIELDS = "stages/fields.py"
FLATTENING = "stages/flattening.py"
MAP = "stages/map.py"
MOVES = "stages/moves.py"
NUMBER = "stages/number.py"
NUMBERS = "stages/numbers.py"
PATTERNS = "stages/patterns.py"
TEXTS = "stages/texts.py"
UPCAST = "stages/upcast.py"

CONVERTS = "tests/stages/test_convert.py"
DATE_TESTS = "tests/stages/test_date.py"
FLATTENS = "tests/stages/test_flatten.py"
MAPS = "tests/stages/test_map.py"
NUMBER_TESTS = "tests/stages/test_number.py"
RENAMES = "tests/stages/test_rename.py"
TEXTS_TESTS = "tests/stages/test_text.py"
UPCASTS = "tests/stages/test_upcast.py"
MOVED = "a renamed field is told by its new path alone"

FIELD_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a field that is renamed stays where it was",
        MOVED,
        MOVES,
        "        if not self._keeps_old:\n",
        "        if False:\n",
        f"{RENAMES}::test_a_field_has_its_new_path",
    ),
    Mutant(
        "a renamed field overwrites",
        "nothing is overwritten",
        MOVES,
        "            if value_in(document, names) is not MISSING:\n",
        "            if False:\n",
        f"{RENAMES}::test_a_path_that_is_taken_parks_the_event",
    ),
    Mutant(
        "a part of what an update set is moved as if it had no sides",
        MOVED,
        CHANGES,
        "    if not has_sides(value, names[0]):\n        return value_in(value, names)\n",
        "    if True:\n        return value_in(value, names)\n",
        f"{RENAMES}::test_what_an_update_set_is_told_by_the_new_path",
    ),
    Mutant(
        "a number is cut to be whole",
        "nothing is lost silently",
        CONVERSION,
        " or number != number.to_integral_value():\n",
        ":\n",
        f"{CONVERTS}::test_what_has_no_such_form_is_invalid",
    ),
    Mutant(
        "old values are left as they were",
        "what is done to a field is done wherever the event has it",
        FIELDS,
        "        elif has_sides(value, rest[0] if rest else None):\n",
        "        elif False:\n",
        f"{CONVERTS}::test_it_is_done_wherever_the_field_is",
    ),
    Mutant(
        "indexes of arrays hide a field from the stages",
        "what is done to a field is done wherever the event has it",
        FIELDS,
        "        elif not (step.isdecimal() and at and (is_itemwise or at < len(names))):\n",
        "        else:\n",
        f"{CONVERTS}::test_it_is_done_wherever_the_field_is",
    ),
    Mutant(
        "what is invalid stays",
        "an event that a stage cannot handle is parked, unless users want it otherwise",
        FIELDS,
        '            case "keep":\n',
        '            case "keep" | "fail":\n',
        f"{CONVERTS}::test_what_is_invalid_has_three_ends",
    ),
    Mutant(
        "what goes to a target is told of the document alone",
        "what is done to a field is done wherever the event has it",
        FIELDS,
        "                changed = placed(changed, to, _both(value, new, old))\n",
        "                pass\n",
        f"{TEXTS_TESTS}::test_a_target_is_a_field_wherever_the_source_is",
    ),
    Mutant(
        "any long row of digits is a phone number",
        "no other number is taken for a phone number",
        TEXTS,
        "    return country + digits if len(digits) >= _LEAST_WITHOUT_A_SIGN else None\n",
        "    return country + digits\n",
        f"{TEXTS_TESTS}::test_phone_numbers",
    ),
    Mutant(
        "however long a text is, it is replaced in",
        "no text keeps the daemon busy",
        PATTERNS,
        "        if len(text) > LONGEST_TEXT:\n",
        "        if False:\n",
        "tests/stages/test_text_regex.py::test_nothing_is_replaced_in_a_text_that_is_too_long",
    ),
    Mutant(
        "an age is that at the moment",
        "the same change makes the same message whenever it is read",
        DATE,
        "    return datetime.fromtimestamp(event.cluster_time[0], UTC).replace(tzinfo=None)\n",
        "    return datetime.now(UTC).replace(tzinfo=None)\n",
        f"{DATE_TESTS}::test_an_age_is_that_at_the_change",
    ),
    Mutant(
        "a day begins when it does in UTC",
        "what calendars say is told in the zone that was asked for",
        DATES,
        "        return moment.replace(tzinfo=UTC).astimezone(zone)\n",
        "        return moment.replace(tzinfo=UTC)\n",
        f"{DATE_TESTS}::test_what_calendars_say",
    ),
    Mutant(
        "local times are subtracted",
        "an hour is an hour where clocks are changed",
        DATES,
        "now.astimezone(UTC) - since.astimezone(UTC)",
        "now - since",
        f"{DATE_TESTS}::test_hours_are_as_long_where_clocks_are_changed",
    ),
    Mutant(
        "products have as many digits as a result",
        "a result is rounded once",
        NUMBERS,
        "    prec=3 * _DIGITS,",
        "    prec=_DIGITS,",
        f"{NUMBER_TESTS}::test_a_result_is_rounded_once",
    ),
    Mutant(
        "a bound belongs to the range below it",
        "a bound belongs to the range above it",
        NUMBER,
        "if number < band.below",
        "if number <= band.below",
        f"{NUMBER_TESTS}::test_ranges",
    ),
    Mutant(
        "an old amount has the currency of the new one",
        "a document before a change tells its own values",
        FIELDS,
        "                return value.get(self.side) if has_sides(value) else value\n",
        '                return value.get("new") if has_sides(value) else value\n',
        f"{NUMBER_TESTS}::test_the_currency_is_that_of_each_document",
    ),
    Mutant(
        "of two fields with one name the last one wins",
        "nothing is overwritten",
        FLATTENING,
        "        if name in collected:\n",
        "        if False:\n",
        f"{FLATTENS}::test_two_fields_of_one_name_park_the_event",
    ),
    Mutant(
        "the paths of an update are flattened less than the document",
        "an update tells of the names that documents have",
        FLATTENING,
        "            levels -= 1\n",
        "            levels -= 2\n",
        FLATTENS,
    ),
    Mutant(
        "a newer version is taken for the newest that is known",
        "what is not understood is parked",
        UPCAST,
        "        if number > self._newest:\n",
        "        if False:\n",
        f"{UPCASTS}::test_an_unknown_version_parks_the_event",
    ),
    Mutant(
        "all steps are done to every document",
        "a document goes through the steps from its own version on",
        UPCAST,
        "            if number > version:\n",
        "            if True:\n",
        f"{UPCASTS}::test_only_the_steps_from_its_own_version_on_are_done",
    ),
    Mutant(
        "a step sees the document as it was at first",
        "each step sees what the one before it left",
        UPCAST,
        "            document = step(document, view.standing_for(document))\n        except",
        "            document = step(document, view)\n        except",
        f"{UPCASTS}::test_each_step_sees_what_the_one_before_it_left",
    ),
    Mutant(
        "what was before a change is computed from what is after it",
        "a document before a change tells its own values",
        MAP,
        "view.standing_for(section)",
        "view",
        f"{MAPS}::test_documents_have_the_named_fields_and_their_id",
    ),
)
