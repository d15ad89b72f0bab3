"""Links lead somewhere, the index is complete, and paths that sentences name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, code_spans, links

IDS = [str(page.relative_to(ROOT)) for page in PAGES]
OWN_PATHS = re.compile(r"(?:eventbus|tests|docs|config|plugins|\.ci)/[\w./-]+")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """Those within the repository; others are not asked for."""
    for link in links(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_the_index_names_every_page() -> None:
    """docs/README.md is where a reader begins; the decisions are a folder there."""
    index = ROOT / "docs/README.md"
    expected = {path.name for path in index.parent.glob("*.md")} - {index.name}
    assert expected <= set(links(index))
    assert "decisions/" in links(index)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_paths_in_sentences_exist(page: Path) -> None:
    """A file that moved takes the sentences about it along."""
    for span in code_spans(page):
        if OWN_PATHS.fullmatch(span):
            assert (ROOT / span).exists(), span
