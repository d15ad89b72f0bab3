"""The pictures of the site are taken of the running program, and those of the repository were taken so."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = [pytest.mark.dist, pytest.mark.services]

SHOWN = {
    "demo.svg": ["eventbus demo", "lost=0 duplicated=0"],
    "status.svg": [
        "fulfilment",
        "waiting",
        "cannot connect",
        "eventbus sink test -c eventbus.yaml fulfilment",
        "eventbus-1",
    ],
    "test.svg": ["2 cases: 2 passed, 0 failed"],
}


def _text(picture: Path) -> str:
    """What stands in it."""
    found = re.findall(r"<text[^>]*>(.*?)</text>", picture.read_text())
    return " ".join(html.unescape("".join(found)).replace("\xa0", " ").split())


def test_pictures_show_what_the_program_prints(tmp_path: Path) -> None:
    """On real servers."""
    folder = tmp_path / "screens"
    subprocess.run([sys.executable, ROOT / "config/docs/screens.py", folder], check=True, timeout=300)
    assert {file.name for file in folder.iterdir()} == set(SHOWN)
    for name, texts in SHOWN.items():
        assert [text for text in texts if text not in _text(folder / name)] == []


@pytest.mark.parametrize("name", SHOWN)
def test_the_pictures_of_the_repository_were_taken_so(name: str) -> None:
    """They stand in where no server is to be had."""
    assert [text for text in SHOWN[name] if text not in _text(ROOT / "docs/pictures" / name)] == []
