"""Log lines hold no secret, whatever form they have and wherever the secret stood."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventbus
from eventbus.telemetry.logs import LOGGERS

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


LEVELS = """
import structlog
from eventbus.telemetry.logs import configure_logs
configure_logs("warning", "json", {"eventbus.source": "debug", "eventbus.route": "error"})
for name in ("eventbus.source", "eventbus.route", "eventbus.sink"):
    log = structlog.get_logger(name)
    for level in ("debug", "info", "warning", "error"):
        getattr(log.bind(logger=name), level)(level)
"""


def test_a_logger_may_have_a_level_of_its_own() -> None:
    """More or less than the others say."""
    done = subprocess.run(
        [sys.executable, "-c", LEVELS], capture_output=True, text=True, check=True, timeout=60
    )
    written = [(line["logger"], line["event"]) for line in map(json.loads, done.stderr.splitlines())]
    assert written == [
        *(("eventbus.source", level) for level in ("debug", "info", "warning", "error")),
        ("eventbus.route", "error"),
        *(("eventbus.sink", level) for level in ("warning", "error")),
    ]


def test_the_list_of_loggers_is_complete() -> None:
    """Each can be named in a configuration, and none that is not there."""
    names = {
        name
        for file in Path(eventbus.__file__).parent.rglob("*.py")
        for name in re.findall(r'structlog\.get_logger\("([\w.]+)"\)', file.read_text())
    }
    assert sorted(names) == list(LOGGERS)
