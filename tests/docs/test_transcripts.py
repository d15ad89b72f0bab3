"""What the pages show below a command is what it prints; and no page shows more than is run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from eventbus.registry import Registry
from tests.cases.test_cases import called
from tests.docs.options import built_in
from tests.docs.pages import ROOT, Block, blocks, links

ELSEWHERE = {
    "quickstart.md": "tests/docs/test_quickstart.py",
    "cli.md": "tests/cli",
    "plan.md": "tests/cli/test_plan.py",
}
"""Pages whose transcripts have a test of their own, with servers."""
TRANSCRIPTS = [
    block
    for block in blocks("console")
    if any(not line.startswith("$ ") for line in block.text.splitlines()) and block.page.name not in ELSEWHERE
]
LOCAL = {"validate", "test", "explain", "schema"}
"""Commands that ask no server."""


def _shipped() -> list[str]:
    """Commands on what is in the repository that need no server, as the pages have them."""
    found = set()
    for block in blocks("console"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)[1:]
            if (
                words[:1] == ["eventbus"]
                and words[1] in LOCAL
                and ">" not in words
                and "--connect" not in words
            ):
                files = [word for word in words if word.endswith((".yaml", "*"))]
                if files and all(word.startswith("config/") for word in files):
                    found.add(shlex.join(words))
    return sorted(found)


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=str)
def test_a_command_prints_what_is_shown_below_it(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the block of YAML before it, under the name that the command has for it."""
    command, *printed = block.text.splitlines()
    before = [one for one in blocks("yaml", block.page) if one.line < block.line][-1]
    words = shlex.split(command, comments=True)[2:]
    (name,) = [word for word in words if word.endswith(".yaml")]
    (tmp_path / name).write_text(before.text)
    monkeypatch.chdir(tmp_path)
    registry = built_in()
    monkeypatch.setattr(Registry, "from_entry_points", lambda: registry)
    for variable in ("MONGODB_URI", "FULFILMENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    assert called(*words).output.splitlines() == printed


@pytest.mark.parametrize("command", _shipped())
def test_a_command_on_what_is_shipped_ends_well(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the top of the repository, as whoever copies it stands there."""
    monkeypatch.chdir(ROOT)
    words = [
        str(path)
        for word in shlex.split(command)[1:]
        for path in (sorted(ROOT.glob(word)) if "*" in word else [word])
    ]
    ran = called(*words)
    assert ran.exit_code == 0, ran.output


def test_transcripts_and_commands_are_found() -> None:
    """Else the tests above would prove nothing."""
    assert [block.page.name for block in TRANSCRIPTS] == ["configuration.md"]
    assert "eventbus test config/tests/shop.yaml" in _shipped()
    for page, test in ELSEWHERE.items():
        assert (ROOT / "docs" / page).exists()
        assert (ROOT / test).exists()
    assert "docs/quickstart.md" in links(ROOT / "README.md")
