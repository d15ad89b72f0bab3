"""What is shown is what was counted."""

from __future__ import annotations

import anyio
import pytest

from eventbus.demo.display import Display, Row, Snapshot

pytestmark = pytest.mark.anyio


def snapshot(committed: int, received: int) -> Snapshot:
    return Snapshot(
        committed=committed,
        rows={"webhook": Row(received, "update orders [x]: status shipped"), "file": Row(received, "")},
        daemon="ready",
        doing="the shop is at work",
    )


async def test_a_line_tells_counts_rates_and_the_latest_event(capsys: pytest.CaptureFixture[str]) -> None:
    snapshots = [snapshot(0, 0), snapshot(1000, 900)]
    finished = anyio.Event()

    def look() -> Snapshot:
        if len(snapshots) == 1:
            finished.set()
        return snapshots.pop(0)

    await Display(look, live=False).show(finished)

    first, second = capsys.readouterr().out.splitlines()
    assert "committed 0 (0/s)  webhook 0  file 0  daemon ready" in first
    assert "committed 1000 (" in second
    assert "webhook 900  file 900" in second
    assert second.endswith("| update orders [x]: status shipped")
    rate = float(second.split("(")[1].split("/")[0])
    assert 100 < rate <= 1000 / 2 + 1


async def test_the_table_stays_when_all_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    finished = anyio.Event()
    finished.set()

    await Display(lambda: snapshot(7, 6), live=True).show(finished)

    shown = capsys.readouterr().out
    assert "the shop is at work; daemon ready" in shown
    assert "update orders [x]: status shipped" in shown  # and not taken for markup
