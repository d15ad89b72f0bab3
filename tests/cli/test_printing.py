"""What the commands print is shown as it is, whatever it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from eventbus.cli.printing import print_pages, print_record, print_table, printable


def test_markup_in_a_reason_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver's answer may hold brackets; nothing of it is lost off a terminal, however long."""
    print_table(("reason", "token"), [{"reason": "bad [/b] value [red]", "token": "8" * 300}], "nothing")
    printed = capsys.readouterr().out
    assert "bad [/b] value [red]" in printed
    assert "8" * 300 in printed


def test_a_receiver_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control sequences in a reason are shown, not obeyed, in tables as in records."""
    print_table(("reason",), [{"reason": "\x1b[2Jgone\r\n\x07"}], "nothing")
    print_record({"reason": "\x1b]0;title\x07", "held": None, "sure": True})
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert r"\x1b[2Jgone\r\n\x07" in printed
    assert r"\x1b]0;title\x07" in printed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ({"a": 1}, '{"a":1}'),
        ("Grüße, 世界", "Grüße, 世界"),
    ],
)
def test_values_are_written_for_people(value: object, text: str) -> None:
    """Nothing is nothing, and words of all languages stay words."""
    assert printable(value) == text


@pytest.mark.parametrize("rows", [0, 1, 200, 201, 1000])
def test_a_long_table_is_laid_out_in_pages(rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row once, and as many heads as there are pages."""

    async def numbers() -> AsyncIterator[dict[str, int]]:
        for number in range(rows):
            yield {"number": number}

    assert anyio.run(print_pages, ("number",), numbers(), "no numbers") == rows
    printed = capsys.readouterr().out
    shown = [word for word in printed.split() if word.isdigit()]
    assert shown == [str(number) for number in range(rows)]
    assert printed.count("┃ number ┃") == -(-rows // 200)
    assert ("no numbers" in printed) == (rows == 0)
