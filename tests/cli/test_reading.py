"""What the reading commands print is shown as it is, whatever it holds."""

from __future__ import annotations

import pytest

from eventbus.cli.reading import _print_table


def test_markup_in_a_reason_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver's answer may hold brackets; nothing of it is lost off a terminal, however long."""
    _print_table(("reason", "token"), [{"reason": "bad [/b] value [red]", "token": "8" * 300}], "nothing")
    printed = capsys.readouterr().out
    assert "bad [/b] value [red]" in printed
    assert "8" * 300 in printed
