"""The table of errors, and the classification of what the driver raises."""

from __future__ import annotations

from collections import Counter
from typing import Any

import bson
import dns.exception
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    CursorNotFound,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from eventbus.sources.mongodb.errors import TABLE, Reaction, failure_of


def refused(code: int, message: str = "no", **more: Any) -> OperationFailure:
    """What the driver raises when replies are raw: no code of its own, no labels."""
    details = {"ok": 0.0, "errmsg": message, "code": code, **more}
    raw: Any = RawBSONDocument(bson.encode(details))
    return OperationFailure(message, details=raw)


def test_each_code_has_one_reaction() -> None:
    """No code is listed twice, and each row that is no passing trouble says what it means."""
    assert max(Counter(row.code for row in TABLE).values()) == 1
    silent = [row.code for row in TABLE if row.reaction is not Reaction.RESUME and not row.meaning]
    assert silent == [148, 376]  # whose names say it all


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code}")
def test_every_row_is_found(row: Any) -> None:
    """A code is classified from the server's reply, whatever the driver makes of it."""
    failure = failure_of(refused(row.code))
    assert (failure.reaction, failure.code, failure.known) == (row.reaction, row.code, True)
    assert row.name in failure.reason
    assert row.meaning in failure.reason


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        NetworkTimeout("timed out"),
        ServerSelectionTimeoutError("no primary"),
        NotPrimaryError("stepped down", {"code": 10107, "errmsg": "stepped down", "ok": 0.0}),
        CursorNotFound("cursor id 5 not found", 43, {"code": 43, "errmsg": "cursor id 5 not found"}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_passing_trouble(error: PyMongoError) -> None:
    """Networks, elections and lost cursors pass: resume."""
    failure = failure_of(error)
    assert (failure.reaction, failure.known) == (Reaction.RESUME, True)


def test_unknown_errors_resume_visibly() -> None:
    """What nobody foresaw is tried again, and is marked as unknown with the server's own words."""
    failure = failure_of(refused(987654, "the moon is full", codeName="MoonFull"))
    assert (failure.reaction, failure.known, failure.code) == (Reaction.RESUME, False, 987654)
    assert "MoonFull" in failure.reason
    assert failure.said == "the moon is full"
    assert failure_of(OperationFailure("no code at all")).known is False


def test_unknown_errors_with_a_label() -> None:
    """The server's label that a stream cannot be resumed is heeded without knowing the code."""
    labelled = refused(987654, errorLabels=["NonResumableChangeStreamError"])
    assert failure_of(labelled).reaction is Reaction.REOPEN_AT_CLUSTER_TIME
    labelled = refused(987654, errorLabels=["ResumableChangeStreamError"])
    assert failure_of(labelled).reaction is Reaction.RESUME


def test_what_the_driver_itself_refuses() -> None:
    """The driver's own complaints about its settings are the operator's to mend."""
    assert failure_of(ConfigurationError("no such mechanism")).reaction is Reaction.FATAL_CONFIGURATION


def test_a_name_that_cannot_be_looked_up_now() -> None:
    """The driver calls it a mistake of the URI; the DNS comes back like any other server."""
    error = ConfigurationError("The resolution lifetime expired after 20.1 seconds")
    error.__cause__ = dns.exception.Timeout.__new__(dns.exception.Timeout)
    failure = failure_of(error)
    assert (failure.reaction, failure.known) == (Reaction.RESUME, True)
    assert "resolution lifetime" in failure.reason


def test_words_for_people() -> None:
    """What is told is one short line; documents that the server quotes stay out of the reason."""
    text = (
        "127.0.0.1:1: refused (configured timeouts: connectTimeoutMS: 20000.0ms), Timeout: 30s, Topology: <…>"
    )
    assert failure_of(ServerSelectionTimeoutError(text)).reason == "127.0.0.1:1: refused"
    text = "Authentication failed., full error: {'ok': 0.0, 'code': 18}, Timeout: 3.0s, Topology: <…>"
    assert failure_of(ServerSelectionTimeoutError(text)).reason == "Authentication failed."
    failure = failure_of(refused(47, "no pre-image for {secret: 1}" + "x" * 10_000))
    assert "secret" not in failure.reason
    assert len(failure.said) <= 300
