"""Deliberate mistakes in the stages that change fields."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["FIELD_MUTANTS"]

CHANGES = "stages/changes.py"
MAP = "stages/map.py"
MOVES = "stages/moves.py"

MAPS = "tests/stages/test_map.py"
RENAMES = "tests/stages/test_rename.py"
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
        "what was before a change is computed from what is after it",
        "a document before a change tells its own values",
        MAP,
        "view.standing_for(section)",
        "view",
        f"{MAPS}::test_documents_have_the_named_fields_and_their_id",
    ),
)
