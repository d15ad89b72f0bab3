"""Writes docs/errors.md from the table in the code.

    python -m tests.docs.errors_page

A test holds that the page is what this makes.
"""
# ruff: noqa: E501 - lines of a page

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from eventbus.sources.mongodb.errors import LABELS, TABLE, Reaction, Row
from tests.docs.pages import ROOT
from tests.sources.faults import NOT_INJECTABLE

PAGE: Final = ROOT / "docs/errors.md"

WHAT_IS_DONE: Final = {
    Reaction.RESUME: """\
It passes. The stream is opened again after the last position, with growing waits, for ever.""",
    Reaction.RESUME_AFTER_INVALIDATE: "The stream is opened again with `startAfter`, at once.",
    Reaction.REOPEN_AT_CLUSTER_TIME: """\
The stream is opened again at the cluster time inside the position, and what was read before is skipped: no gap
and no repetition. Met twice at one position, it ends the subscription: then the stages of `source.pipeline` spoil
the changes.""",
    Reaction.OVERSIZE: """\
The change is found, [becomes a dead letter](runbook.md#a-change-is-too-large) by its identity, and the stream goes
on after it.""",
    Reaction.HISTORY_LOST: """\
[The position is lost](runbook.md#the-position-is-lost): the subscription's policy decides.""",
    Reaction.FATAL_CONFIGURATION: """\
[The subscription fails](runbook.md#a-subscription-fails), and says why: only the operator can mend it.""",
}

HEAD: Final = """\
# MongoDB's errors

What is done about each error that MongoDB gives to a change stream. This page is made from the table in the code
(`eventbus/sources/mongodb/errors.py`) by `python -m tests.docs.errors_page`.

The column "shown by" says how a test makes a real server give the error, on MongoDB 6.0.27 and on 6.0.5:

- **fail point**: `failCommand` makes the server's next `getMore` fail with this code;
- **server**: besides, its cause is brought about, and the server gives it by itself (on one of the two, where
  only one does);
- **reply**: no server here can be made to give it; a test reads a reply that has it.

There were no sharded clusters and no MongoDB 7.0 or 8.0 where these tests run: what only they give (`StaleConfig` and
`StaleShardVersion`, for instance) is known from MongoDB's own lists of codes and was never seen to happen.
"""

REST: Final = """\
## Without a code

| what | reaction |
|---|---|
| No answer: the connection was refused, reset or cut, it timed out, no member suits | `resume` |
| The driver refuses its own settings (a mechanism that it does not know) | `fatal_configuration` |
| A code that is in no row, without a label below | `resume`, and the log line has `unknown_error` with the server's words |

## Labels

They decide where the code is in no row.

| label | reaction |
|---|---|
"""

BY_THE_SERVER: Final = {2, 13, 15, 18, 47, 280, 286, 10334, 40324, 50811, 51055, 7182500}
"""Errors whose cause a test of tests/sources brings about on a real server."""


def rendered() -> str:
    """The page."""
    rows = sorted(TABLE, key=lambda row: (list(Reaction).index(row.reaction), row.code))
    parts = [HEAD]
    for reaction, of_it in groupby(rows, key=lambda row: row.reaction):
        parts.append("\n".join(_section(reaction, list(of_it))))
    labels = "".join(f"| `{label}` | `{reaction}` |\n" for label, reaction in LABELS.items())
    return "\n".join([*parts, REST + labels])


def _section(reaction: Reaction, rows: list[Row]) -> Iterator[str]:
    yield f"## `{reaction}`\n\n{WHAT_IS_DONE[reaction]}\n"
    yield "| code | name | what it means | shown by |\n|---|---|---|---|"
    for row in rows:
        yield f"| {row.code} | {row.name} | {row.meaning} | {_shown(row.code)} |"
    yield ""


def _shown(code: int) -> str:
    if code in NOT_INJECTABLE:
        return f"reply: {NOT_INJECTABLE[code]}"
    return "fail point, server" if code in BY_THE_SERVER else "fail point"


if __name__ == "__main__":
    PAGE.write_text(rendered())
