"""Deliberate mistakes in what the server is asked to leave out."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["NARROWING_MUTANTS"]

PATHS = "sources/mongodb/paths.py"
PROJECT = "sources/mongodb/project.py"
STREAM = "sources/mongodb/stream.py"

EXPLAINING = "cli/explaining.py"

EXPLAINED = "tests/cli/test_explain.py::test_what_decodes_documents"
TOLD = "what is told of a subscription is what it does"
RANDOM = "tests/sources/test_mongodb_significance.py"
NARROWING = "tests/sources/test_mongodb_narrowing.py"
OPTIONS = "tests/sources/test_mongodb_options.py"
SELECTED = "the server gives exactly the changes that were asked for"

NARROWING_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "arrays that were cut short did not change",
        SELECTED,
        PATHS,
        "[_updated(), _removed(), _truncated()]",
        "[_updated(), _removed()]",
        RANDOM,
    ),
    Mutant(
        "a path within an array must say where",
        SELECTED,
        PATHS,
        '"cond": {"$not": [_is_place("$$part")]}',
        '"cond": {"$ne": ["$$part", None]}',
        RANDOM,
    ),
    Mutant(
        "only what is set at a path itself or below it touches it",
        SELECTED,
        PATHS,
        "for length in range(1, len(names) + 1)]",
        "for length in range(len(names), len(names) + 1)]",
        RANDOM,
    ),
    Mutant(
        "a place may be any place",
        SELECTED,
        PATHS,
        "enumerate(parts) if not part.isdecimal()]",
        "enumerate(parts)]",
        f"{NARROWING}::test_an_update_passes_if_it_touched_a_field",
    ),
    Mutant(
        "fields are asked for of every change",
        SELECTED,
        STREAM,
        '{"$or": [{"$not": [IS_UPDATE]}, touched(fields)]}',
        "touched(fields)",
        f"{NARROWING}::test_every_other_change_passes",
    ),
    Mutant(
        "what was set above a kept field is sent as it is",
        "nothing is sent of a document that was not asked for",
        PROJECT,
        '*(f"v.{rest}" for rest in below)',
        '"v"',
        f"{NARROWING}::test_the_server_projects_like_the_stage",
    ),
    Mutant(
        "every sink asks for the encoded form",
        TOLD,
        EXPLAINING,
        "    return noted.was_asked\n",
        "    return True\n",
        EXPLAINED,
    ),
    Mutant(
        "conditions decode documents whatever they name",
        TOLD,
        EXPLAINING,
        "any(map(_is_of_document, route.when.paths))",
        "route.when.paths",
        EXPLAINED,
    ),
)
