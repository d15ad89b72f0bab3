"""What the documents hold: their blocks, tables, headings, links and code, read from Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "anchors", "blocks", "code_spans", "links", "tables"]

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "plugins/README.md", *ROOT.glob("docs/**/*.md")]
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Args:
        page: The file.
        line: The line of its first line of code.
        language: What stands behind the fence.
        text: What it holds.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str, *pages: Path) -> list[Block]:
    """All blocks of a language, on these pages or on all."""
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, language, match[2])
        for page in pages or PAGES
        for text in [page.read_text()]
        for match in _BLOCK.finditer(text)
        if match[1] == language
    ]


def tables(page: Path) -> dict[str, list[list[str]]]:
    """By heading: the rows below it, less the head of each table; cells as they are written."""
    found: dict[str, list[list[str]]] = {}
    for heading, body in _sections(_without_blocks(page)):
        rows = [_cells(line) for line in body.splitlines() if line.startswith("|")]
        heads = {index - 1 for index, row in enumerate(rows) if set("".join(row)) <= set("-: ")}
        found[heading] = [row for i, row in enumerate(rows) if i not in heads and i - 1 not in heads]
    return found


def code_spans(page: Path) -> list[str]:
    """Every `span` of code outside of blocks."""
    return re.findall(r"`([^`\n]+)`", _without_blocks(page))


def links(page: Path) -> list[str]:
    """The targets of all links."""
    return re.findall(r"\]\(([^)\s]+)\)", _without_blocks(page))


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(_without_blocks(page))
    }


def _without_blocks(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())


def _sections(text: str) -> Iterator[tuple[str, str]]:
    parts = _HEADING.split(text)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
