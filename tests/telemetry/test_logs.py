"""Log lines hold no secret, whatever form they have and wherever the secret stood."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from eventbus.telemetry.logs import configure_logs
configure_logs("info", %r)
secret_variable = "only-in-a-variable"
try:
    raise RuntimeError("cannot reach mongodb://eve:s3cret@host/")
except RuntimeError:
    structlog.get_logger("x").exception("sink_raised", uri="redis://:s3cret@host/0", sink="feed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_in_fields_texts_or_tracebacks(form: str) -> None:
    """The traceback is there, without the values of variables and with passwords masked."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % form], capture_output=True, text=True, check=True, timeout=60
    )
    assert "RuntimeError" in done.stderr
    assert "sink_raised" in done.stderr
    assert "s3cret" not in done.stderr
    assert "only-in-a-variable" not in done.stderr
