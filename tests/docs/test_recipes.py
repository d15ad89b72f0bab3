"""Every recipe is a whole configuration that is sound, and its cases hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cases.test_cases import called
from tests.docs.pages import ROOT, blocks, links

FOLDER = ROOT / "docs/recipes"
NOT_SHOWN = {"payments"}
"""Routes that do what another one of their recipe does."""
RECIPES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")


def _written(recipe: Path, folder: Path) -> Path:
    """The two blocks of a recipe under the names that the page gives them; the second one's file."""
    config, cases = blocks("yaml", recipe)
    (folder / "eventbus.yaml").write_text(config.text)
    (folder / "cases.yaml").write_text(cases.text)
    return folder / "cases.yaml"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda page: page.stem)
def test_a_recipe_does_what_its_cases_say(recipe: Path, tmp_path: Path) -> None:
    """By the command that the page names, for every route."""
    cases = _written(recipe, tmp_path)
    ran = called("test", str(cases))
    assert ran.exit_code == 0, ran.output
    written = yaml.safe_load(cases.read_text())
    config = yaml.safe_load((tmp_path / "eventbus.yaml").read_text())
    routes = config["subscriptions"][written["subscription"]]["routes"]
    names = {route if isinstance(route, str) else route["sink"] for route in routes}
    shown = {name for case in written["cases"] for name in case["expect"]}
    assert names - shown <= NOT_SHOWN, "what a route gets is shown by a case"


def test_a_wrong_case_would_be_found(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    cases = _written(FOLDER / "etl.md", tmp_path)
    cases.write_text(cases.read_text().replace("total: 28.5", "total: 28.6"))
    ran = called("test", str(cases))
    assert ran.exit_code == 1
    assert "clean[0].body.total" in ran.output


def test_the_index_names_every_recipe() -> None:
    """In one sentence each."""
    assert set(links(FOLDER / "README.md")) == {page.name for page in RECIPES}
