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


OF_AN_EXPRESSION = """
from eventbus.sdk import Condition, Event, ExpressionError, Views
from eventbus.telemetry.logs import configure_logs
configure_logs("info", "json")
event = Event(token="1", operation="insert", database="a", collection="b", document={"x": "in a document"})
for text in ("math.round(document.x) > 1", "int(document.x) > 1", "document.x > 1"):
    try:
        Condition(text).holds(Views().of(event))
    except ExpressionError:
        continue
    raise AssertionError("it has a result")
"""


def test_an_expression_without_a_result_shows_no_value() -> None:
    """The library has lines of its own, which would."""
    done = subprocess.run(
        [sys.executable, "-c", OF_AN_EXPRESSION], capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
