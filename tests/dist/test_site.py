"""The documentation becomes a site without a warning and without a network, and the site needs none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.dist

CLOSED = "http://127.0.0.1:9"
LOADED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("link", "href"),
    ("object", "data"),
}
"""What a browser fetches by itself."""
FOREIGN = re.compile(r"""(?:url\(|@import\s+|(?:src|xlink:href)=)["']?((?:https?:)?//[^"')\s]+)""")
"""The same in style sheets and pictures."""


class _Page(HTMLParser):
    """The ids of a page, where it leads, and what it has fetched."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        relation = given.get("rel", "")
        self.loads += [
            given[name]
            for kind, name in LOADED
            if kind == tag and name in given and relation not in {"canonical", "next", "prev"}
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every way out closed."""
    folder = tmp_path_factory.mktemp("site")
    ways = ("http_proxy", "https_proxy", "all_proxy")
    closed = {name: CLOSED for way in ways for name in (way, way.upper())}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"),
            *("--config-file", ROOT / "config/docs/mkdocs.yml", "--site-dir", folder),
        ],
        env={**os.environ, **closed, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    """Every page of it."""
    return {file: _Page(file) for file in site.rglob("*.html")}


def test_links_lead_to_pages_and_anchors(site: Path, pages: dict[Path, _Page]) -> None:
    """Of all pages, also those that the build made; those of the page for what is not found are absolute."""
    wrong = [
        f"{file.relative_to(site)}: {link}"
        for file, page in pages.items()
        if file.name != "404.html"
        for link in page.leads
        if not urlsplit(link).scheme and not _leads(file, link, pages)
    ]
    assert wrong == []
    assert sum(len(page.leads) for page in pages.values()) > 1000


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, _Page]) -> None:
    """No script, style, font or picture: neither by a page nor by what it loads."""
    by_pages = {load for page in pages.values() for load in page.loads if urlsplit(load).netloc}
    assert by_pages == set()
    styled = [file for file in site.rglob("*") if file.suffix in {".css", ".svg", ".html"}]
    assert {(str(file), host) for file in styled for host in FOREIGN.findall(file.read_text())} == set()
    assert any(file.suffix == ".css" for file in styled)


@pytest.mark.parametrize(
    "text",
    [
        "src: url(https://fonts.example/a.woff2)",
        "@import '//fonts.example/a.css'",
        '<image xlink:href="http://x/y">',
    ],
)
def test_a_foreign_file_would_be_found(text: str) -> None:
    """Else the test above would prove nothing."""
    assert FOREIGN.search(text)


def test_every_option_of_the_schema_is_on_its_page(site: Path) -> None:
    """Also those of stages and sinks, with what they mean."""
    text = (site / "options.html").read_text()
    for name in ("bootstrap_servers", "on_position_lost", "max_open", "http_lookup", "marker_ttl"):
        assert f"<code>{name}</code>" in text
    assert "eventbus.schema.json" in text
    assert (site / "eventbus.schema.json").exists()


def _leads(file: Path, link: str, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    return target.exists() and (
        not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].ids
    )
