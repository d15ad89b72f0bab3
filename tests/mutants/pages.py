"""Deliberate mistakes on pages that readers copy from."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["PAGE_MUTANTS"]

DOCS = "../docs"
RECIPES = f"{DOCS}/recipes"
RECIPE = "tests/docs/test_recipes.py::test_a_recipe_does_what_its_cases_say"

PAGE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a recipe forgets the list that a product was in",
        "what is shown is what happens",
        f"{RECIPES}/cache-invalidation.md",
        '      - "products:category:{before.category}" # the one that it was in\n',
        "",
        f"{RECIPE}[cache-invalidation]",
    ),
    Mutant(
        "a recipe tells the same status again",
        "what is shown is what happens",
        f"{RECIPES}/notifications.md",
        "by: [document_key._id, document.status]",
        "by: [document_key._id, document.status, event_id]",
        f"{RECIPE}[notifications]",
    ),
    Mutant(
        "a key that consumers of Debezium do not know",
        "a switch keeps each document in its partition",
        f"{DOCS}/migrating-from-debezium.md",
        """key: '{{"id":"{{""",
        """key: '{{"_id":"{{""",
        "tests/docs/test_migrating_page.py::test_keys_are_those_of_debezium",
    ),
    Mutant(
        "a dependency without a notice",
        "whoever ships it knows under which licences",
        f"{DOCS}/third-party.md",
        "| [orjson](https://github.com/ijl/orjson) | MPL-2.0 AND (Apache-2.0 OR MIT) |\n",
        "",
        "tests/docs/test_site.py::test_every_dependency_has_a_notice",
    ),
    Mutant(
        "a page changes what is not there",
        "what is shown is what happens",
        f"{DOCS}/plugins.md",
        '-        columns = "id TEXT PRIMARY KEY, body BLOB NOT NULL"',
        '-        columns = "id TEXT PRIMARY KEY, body TEXT NOT NULL"',
        "tests/docs/test_own_plugin.py::test_what_is_changed_works",
    ),
    Mutant(
        "a new sink forgets that events come again",
        "what is made passes its own tests",
        "cli/plugins/templates/sink/sink.py.template",
        "INSERT OR IGNORE",
        "INSERT",
        "tests/cli/test_plugin.py::test_the_tests_that_are_made_pass",
    ),
    Mutant(
        "a new package declares itself in a group that there is not",
        "what is made is found",
        "cli/plugins/templates/all/pyproject.toml.template",
        '"eventbus.${kind}s"',
        '"eventbus.${kind}"',
        "tests/cli/test_plugin.py::test_what_is_made_is_found_and_can_be_configured",
    ),
    Mutant(
        "a type that two packages declare is that of the first",
        "what an installed package breaks is told",
        "cli/plugins/listing.py",
        "{first.name: tuple(several)}",
        "{first.name: (first,)}",
        "tests/cli/test_plugin.py::test_what_is_broken_is_told_with_its_cause",
    ),
    Mutant(
        "a new source begins at its position's own change",
        "what is made passes its own tests",
        "cli/plugins/templates/source/source.py.template",
        "            offset += len(line)\n            lines.append((offset, line))\n",
        "            lines.append((offset, line))\n            offset += len(line)\n",
        "tests/cli/test_plugin.py::test_the_tests_that_are_made_pass",
    ),
)
