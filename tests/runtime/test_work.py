"""The clock of work runs while a thread works, and stands still while it waits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eventbus.runtime import work
from eventbus.runtime.work import work_secs


def spin(until: float) -> None:
    """Work until the thread's own processor time has come so far."""
    while time.thread_time() < until:
        pass


def test_it_counts_work_and_not_waiting() -> None:
    """To wait is nearly nothing beside the same time of work."""
    begun = work_secs()
    spin(time.thread_time() + 0.2)
    worked = work_secs() - begun
    begun = work_secs()
    time.sleep(0.2)
    waited = work_secs() - begun
    assert worked > 3 * waited


@pytest.mark.parametrize("content", [None, "", "one two three"])
def test_where_the_system_tells_nothing_it_is_the_processor_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    """Not Linux, or a kernel without the numbers."""
    scheduled = tmp_path / "schedstat"
    if content is not None:
        scheduled.write_text(content)
    monkeypatch.setattr(work, "_SCHEDULED", scheduled)
    before, told, after = time.thread_time(), work_secs(), time.thread_time()
    assert before <= told <= after
