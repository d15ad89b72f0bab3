"""docs/notices.md knows every kind of notice, and a notice sends nobody astray."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import typer

from eventbus.cli.commands import app
from eventbus.encoding.notices import NoticeEncoder, notice_event
from eventbus.notices.kinds import KINDS, Nature, next_command
from eventbus.telemetry.notices import Notice, NoticeKind
from tests.docs.pages import ROOT, anchors, blocks, tables

PAGE = ROOT / "docs/notices.md"


def test_the_page_lists_every_kind_in_order_with_what_it_ends() -> None:
    """Two kinds of one topic: the problem, and what ends it."""
    problems = {
        meaning.topic: kind.value for kind, meaning in KINDS.items() if meaning.nature is Nature.PROBLEM
    }
    expected = {
        kind.value: problems[meaning.topic]
        if meaning.nature in {Nature.RECOVERY, Nature.ANNOUNCEMENT}
        else ""
        for kind, meaning in KINDS.items()
    }
    assert {row[0].strip("`"): row[1].strip("`") for row in tables(PAGE)["Kinds"]} == expected
    assert list(KINDS) == list(NoticeKind)


@pytest.mark.parametrize("kind", NoticeKind, ids=lambda kind: kind.value)
def test_a_notice_leads_to_the_runbook_and_to_a_command(
    kind: NoticeKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heading is there, the command is one, and its options are its own."""
    (tmp_path / "eventbus.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert KINDS[kind].runbook in anchors(ROOT / "docs/runbook.md")
    program, *words = shlex.split(next_command(Notice(kind, "", "orders", "hook", "partner")))
    assert program == "eventbus"
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), words
    command.make_context("eventbus", words, resilient_parsing=False)


def test_the_example_has_the_form_of_what_is_sent() -> None:
    """Name by name, in order."""
    (block,) = blocks("json", PAGE)
    shown = json.loads(block.text)
    made = NoticeEncoder("eventbus-1").encode(
        notice_event(shown["id"], 12, shown["data"], time_secs=1785585600.123)
    )
    assert json.loads(made) == shown
    assert list(json.loads(made)) == list(shown)
