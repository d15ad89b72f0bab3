"""The site leads to every page, its notices name every dependency, and its indexes are complete."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

from tests.docs.pages import ROOT, anchors, links, tables

DOCS = ROOT / "docs"
MADE_BY_THE_BUILD = {"options.md", "changelog.md"}


def _targets(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield from (
            [page.relative_to(DOCS).as_posix() for page in (DOCS / nav).glob("*.md")]
            if nav.endswith("/")
            else [nav]
        )
    for part in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else []:
        yield from _targets(part)


def test_the_navigation_leads_to_every_page_once() -> None:
    """A page that is added is put where readers look for it: into `nav` of config/docs/mkdocs.yml."""
    site = yaml.safe_load((ROOT / "config/docs/mkdocs.yml").read_text())
    listed = list(_targets(site["nav"]))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert set(listed) - MADE_BY_THE_BUILD == pages, "mend nav in config/docs/mkdocs.yml"
    assert len(listed) == len(set(listed))


def test_every_decision_is_in_the_index() -> None:
    """By its number, its title and in their order."""
    folder = DOCS / "decisions"
    listed = [
        (number, *link.removesuffix(")").removeprefix("[").split("](", 1))
        for number, link in tables(folder / "README.md")["Decisions"]
    ]
    titled = [
        (str(int(page.name[:4])), page.read_text().partition("\n")[0].lstrip("# 0123456789."), page.name)
        for page in sorted(folder.glob("0*.md"))
    ]
    assert listed == titled


def test_every_dependency_has_a_notice() -> None:
    """Those of the package and of its extras, with a licence each; and none that is gone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = tables(DOCS / "third-party.md")
    listed = {
        name: row[-1]
        for heading in ("What runs with it", "With the extras")
        for name, row in _named(shown[heading])
    }
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    assert set(listed) == {_name(one) for one in [*project["dependencies"], *extras]}
    assert all(listed.values())
    assert {name: row[1].strip("`") for name, row in _named(shown["With the extras"])} == {
        _name(one): extra for extra, ones in project["optional-dependencies"].items() for one in ones
    }


def test_the_page_on_security_is_found() -> None:
    """From where people look first."""
    assert {"docs/security.md#report-a-hole", "docs/contributing.md"} <= set(links(ROOT / "README.md"))
    assert "report-a-hole" in anchors(DOCS / "security.md")


def _named(rows: list[list[str]]) -> Iterator[tuple[str, list[str]]]:
    for row in rows:
        yield row[0].partition("]")[0].lstrip("["), row


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found[0]
