"""What the site has beyond the pages of docs/: what they lead to elsewhere, and every option.

Pages are written for readers of the repository, so links lead to files as they lie there. What lies
outside of docs/ becomes a page when a page leads to it. Nothing here asks a network.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from options_page import page as options_page
from options_page import schema

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
SCREENS: Final = ROOT / "dist/screens"
"""Pictures of the running program, taken for this build; those of docs/ stand in for what is missing."""

_OF_THEIR_OWN: Final = {"CHANGELOG.md": "changelog.md"}
_LINK: Final = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(\))")
_FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_TEXT_OR_CODE: Final = re.compile(r"^```.*?^```$|(?:(?!^```).)+", re.DOTALL | re.MULTILINE)
_LANGUAGES: Final = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".service": "ini",
    ".tpl": "text",
    ".txt": "text",
    "": "text",
    ".py": "python",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Headings have the anchors that GitHub gives them; a folder of the navigation stands for its pages."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = _anchor
    config.nav = _expanded(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages lead to, every option, its schema, and pictures that are newer."""
    described = schema()
    files.append(File.generated(config, "options.md", content=options_page(described)))
    files.append(File.generated(config, "eventbus.schema.json", content=json.dumps(described, indent=2)))
    for picture in sorted(SCREENS.glob("*.svg")):
        if (old := files.get_file_from_path(f"pictures/{picture.name}")) is not None:
            files.remove(old)
        files.append(File.generated(config, f"pictures/{picture.name}", content=picture.read_text()))
    waiting = [path for file in DOCS.rglob("*.md") for path in _outside(file)] + [ROOT / "CHANGELOG.md"]
    while waiting:
        path = waiting.pop()
        if files.get_file_from_path(_source(path)) is None:
            files.append(File.generated(config, _source(path), content=_text(path)))
            waiting += _outside(path) if path.suffix == ".md" else _shown(path)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links lead to pages of the site."""

    def of_part(part: re.Match[str]) -> str:
        is_code = part[0].startswith("```")
        return part[0] if is_code else _led(part[0], _origin(page), page.file.src_uri)

    return _TEXT_OR_CODE.sub(of_part, markdown)


def _led(text: str, origin: Path, source: str) -> str:
    here = posixpath.dirname(source)

    def led(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(origin.parent / match[2]))
        if not path.exists():
            return match[0]
        return f"{match[1]}{posixpath.relpath(_source(path), here or '.')}{match[3] or ''}{match[4]}"

    return _LINK.sub(led, text)


def _anchor(heading: str, _separator: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _expanded(nav: Any) -> Any:
    """The navigation, with the pages of a folder in place of its name."""
    if isinstance(nav, list):
        return [_expanded(item) for item in nav]
    if isinstance(nav, dict):
        return {title: _expanded(item) for title, item in nav.items()}
    if isinstance(nav, str) and nav.endswith("/"):
        pages = sorted((DOCS / nav).glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
        return [page.relative_to(DOCS).as_posix() for page in pages]
    return nav


def _source(path: Path) -> str:
    """Where a file of the repository is in the site."""
    if path.is_dir():
        path /= "README.md"
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return _OF_THEIR_OWN.get(name) or f"files/{name}" + ("" if path.suffix == ".md" else ".md")


def _origin(page: Page) -> Path:
    """Where a page of the site is in the repository."""
    uri = page.file.src_uri
    for name, own in _OF_THEIR_OWN.items():
        if uri == own:
            return ROOT / name
    if not uri.startswith("files/"):
        return DOCS / uri
    path = ROOT / uri.removeprefix("files/")
    return path if path.exists() or path.name == "README.md" else path.with_suffix("")


def _outside(file: Path) -> list[Path]:
    """Files outside of docs/ to which a page leads, and folders."""
    targets = (match[2] for match in _LINK.finditer(_FENCE.sub("", file.read_text())))
    paths = (Path(os.path.normpath(file.parent / target)) for target in targets)
    return [
        path
        for path in paths
        if path.exists() and path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)
    ]


def _shown(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if _is_shown(path))


def _is_shown(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return (path.is_dir() and path.name != "__pycache__") or path.suffix in _LANGUAGES or path.suffix == ".md"


def _text(path: Path) -> str:
    """A page of a file or a folder."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        if (path / "README.md").exists():
            return (path / "README.md").read_text()
        entries = (f"- [{entry.name}]({entry.name}{'/' * entry.is_dir()})\n" for entry in _shown(path))
        return f"# {name}\n\n{''.join(entries)}"
    if path.suffix == ".md":
        return path.read_text()
    return f"# {name}\n\n````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text().rstrip()}\n````\n"
