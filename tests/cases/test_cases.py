"""`eventbus test`: what holds, what does not and where, and what is wrong with a file of cases."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.cli import main
from tests.docs.pages import ROOT, blocks, tables

SHIPPED = sorted((ROOT / "config/tests").glob("*.yaml"))
PAGE = ROOT / "docs/testing.md"
CONFIG: dict[str, Any] = {
    "mongodb": {"uri": "${URI}"},
    "sinks": {
        "lines": {"type": "stdout"},
        "topic": {"type": "kafka", "bootstrap_servers": "localhost:1", "topic": "shop.{collection}"},
        "cache": {
            "type": "redis",
            "url": "redis://localhost:1",
            "mode": "invalidate",
            "keys": ["o:{document._id}"],
        },
    },
    "subscriptions": {
        "orders": {
            "source": {"database": "shop", "collections": ["orders"], "full_document": "update_lookup"},
            "pipeline": [
                {"filter": "document.total != 13"},
                {"lookup": {"collection": "customers", "key": "document.customer", "into": "who"}},
                {"set": {"fields": {"document.half": "100 / document.total"}}},
            ],
            "routes": [
                {"sink": "lines", "when": "who != null"},
                {"sink": "topic", "encoding": {"envelope": "document", "json": "plain"}},
                {"sink": "cache", "pipeline": [{"dedupe": {"window": "1m"}}]},
            ],
        }
    },
}
HALF = "lines[0].body.data.document.half"
ORDER: dict[str, Any] = {"_id": 1, "total": 20, "customer": 7}
ALL: dict[str, list[dict[str, Any]]] = {
    "lines": [{"body": {"data": {"document": {"half": 5}}}}],
    "topic": [
        {"target": "shop.orders", "body": {"_id": 1, "total": 20}, "key": {"document_key": {"_id": 1}}}
    ],
    "cache": [{"body": {"keys": ["o:1"]}}],
}


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    exit_code: int
    output: str


def called(*arguments: str) -> Ran:
    """The command line, within this process."""
    written, before = io.BytesIO(), sys.argv
    out = io.TextIOWrapper(written, write_through=True)
    sys.argv = ["eventbus", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    return Ran(int(ended.value.code or 0), written.getvalue().decode())


def run(folder: Path, *cases: dict[str, Any], arguments: tuple[str, ...] = (), **file: Any) -> Ran:
    """The command on one file."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    written = {
        "config": "config.yaml",
        "env": {"URI": "mongodb://localhost"},
        "subscription": "orders",
        "collections": {"customers": [{"_id": 7, "name": "Jo"}]},
        "cases": list(cases),
        **file,
    }
    path = folder / "cases.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return called("test", str(path), *arguments)


def case(expect: dict[str, Any], *given: dict[str, Any], **further: Any) -> dict[str, Any]:
    """A case; by default one order is inserted."""
    changes = list(given) or [{"operation": "insert", "document": ORDER}]
    return {"name": "an order", "given": changes, "expect": expect, **further}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_is_shipped_holds(path: Path) -> None:
    """Every example has cases, and they pass."""
    ran = called("test", str(path))
    assert ran.exit_code == 0, ran.output


def test_the_page_shows_a_file_that_holds(tmp_path: Path) -> None:
    """Its example is run from the place that it is written for."""
    (block,) = blocks("yaml", PAGE)
    path = tmp_path / "cases.yaml"
    path.write_text(block.text.replace("../shop.yaml", str(ROOT / "config/shop.yaml")))
    ran = called("test", str(path))
    assert ran.exit_code == 0, ran.output
    path.write_text(path.read_text().replace("urgency: high", "urgency: medium"))
    ran = called("test", str(path))
    shown = PAGE.read_text().partition("path by path:\n\n```\n")[2].partition("```")[0]
    assert ran.output.splitlines()[1:] == shown.splitlines()[1:]


def test_everything_runs_up_to_the_message(tmp_path: Path) -> None:
    """Pipeline, lookups, conditions, encodings, targets, keys; objects may have more than is mentioned."""
    ran = run(tmp_path, case(ALL))
    assert (ran.exit_code, ran.output.splitlines()[-1]) == (0, "1 cases: 1 passed, 0 failed")


def test_a_route_that_is_not_mentioned_has_no_message(tmp_path: Path) -> None:
    """Unless only others are looked at."""
    ran = run(tmp_path, case({"lines": ALL["lines"]}))
    assert ran.exit_code == 1
    assert "topic[0]" in ran.output
    assert run(tmp_path, case({"lines": ALL["lines"]}, only=["lines"])).exit_code == 0


@pytest.mark.parametrize(
    ("expect", "path", "expected", "got"),
    [
        (
            {"lines": [{"body": {"data": {"document": {"half": 6}}}}]},
            "lines[0].body.data.document.half",
            "6",
            "5",
        ),
        ({"lines": [{"body": {"nothing": 1}}]}, "lines[0].body.nothing", "1", "nothing"),
        ({"lines": []}, "lines[0]", "no message", None),
        ({"lines": [*ALL["lines"], {}]}, "lines[1]", "a message", "none"),
        ({**ALL, "parked": [{"route": "lines"}]}, "parked[0]", "a dead letter", "none"),
        ({**ALL, "dropped": 1}, "dropped", "1", "0"),
        ({**ALL, "stopped": "x"}, "stopped", '"x"', "null"),
    ],
)
def test_what_is_not_as_expected_is_shown_path_by_path(
    tmp_path: Path, expect: dict[str, Any], path: str, expected: str, got: str | None
) -> None:
    """What was expected there, and what there is."""
    ran = run(tmp_path, case(expect, only=["lines"]), arguments=("--json",))
    assert ran.exit_code == 1
    (row,) = [json.loads(line) for line in ran.output.splitlines()]
    found = {one["path"]: one for one in row["differences"]}
    assert found[path]["expected"] == expected
    assert got is None or found[path]["got"] == got
    assert (row["ok"], row["name"], row["line"]) == (False, "an order", 10)


def test_what_is_dropped_or_parked_can_be_expected(tmp_path: Path) -> None:
    """A stage's fault with its reason; a filter's by their number; what is alike by what is left."""
    zero, thirteen = {**ORDER, "total": 0}, {**ORDER, "total": 13}
    documents: list[dict[str, Any]] = [zero, thirteen, ORDER, ORDER]
    given = [{"operation": "insert", "document": document} for document in documents]
    both = {name: messages * 2 for name, messages in ALL.items()}
    expect = {
        **both,
        "cache": ALL["cache"],
        "dropped": 1,
        "parked": [{"event": 1, "route": None, "reason": "divides by zero", "kind": "stage"}],
    }
    ran = run(tmp_path, case(expect, *given))
    assert ran.exit_code == 0, ran.output


def test_exact_leaves_nothing_out(tmp_path: Path) -> None:
    """Of the whole case, or of one message."""
    body = {"body": {"_id": 1, "total": 20}}
    assert run(tmp_path, case({"topic": [body]}, only=["topic"])).exit_code == 0
    ran = run(tmp_path, case({"topic": [body]}, only=["topic"], exact=True))
    assert ran.exit_code == 1
    assert "topic[0].body.customer" in ran.output
    assert run(tmp_path, case({"topic": [{**body, "exact": True}]}, only=["topic"])).exit_code == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"operation": "instert", "document": ORDER}, "operation: the source does not read it"),
        (
            {"operation": "insert", "collection": "carts", "document": ORDER},
            "collection: the source does not read it",
        ),
        ({"operation": "delete", "before": ORDER}, "before: the source gives none: its before is off"),
        ({"operation": "insert", "document": {"total": 1}}, "document_key: which document?"),
        ({"operation": "insert", "document": {"_id": {"$oid": "x"}}}, "document:"),
        ({"operation": "insert", "document": ORDER, "cluster_time": "soon"}, "cluster_time: expected a time"),
    ],
)
def test_a_change_that_no_source_gives_is_an_error_of_the_file(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """With its place, before anything is run."""
    ran = run(tmp_path, case(ALL, change))
    assert ran.exit_code == 2
    assert says in ran.output
    assert "cases.yaml:1" in ran.output


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"subscription": "order"}, "no subscription is named 'order', did you mean 'orders'"),
        ({"cases": [{**case({"line": []})}]}, "has no route 'line', did you mean 'lines'"),
        ({"cases": [{**case({}), "onyl": []}]}, "unknown key 'onyl'"),
        ({"config": "nothing.yaml"}, "nothing.yaml"),
        ({"env": {}}, "URI"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, file: dict[str, Any], says: str) -> None:
    """All of its problems, and nothing is run."""
    ran = run(tmp_path, **{"cases": [case(ALL)], **file})
    assert ran.exit_code == 2
    assert says in ran.output


def test_cases_are_chosen_by_a_part_of_their_name(tmp_path: Path) -> None:
    """A part that no name has is a mistake, and no success."""
    other = {**case({}), "name": "another one, which fails"}
    assert run(tmp_path, case(ALL), other, arguments=("-k", "an order")).exit_code == 0
    assert run(tmp_path, case(ALL), other, arguments=("-k", "fails")).exit_code == 1
    assert run(tmp_path, case(ALL), other, arguments=("-k", "typo")).exit_code == 2


def test_the_page_has_every_key() -> None:
    """Of files, cases, changes and expectations; the schema for editors has the same."""
    schema = json.loads(called("schema", "--cases").output)
    page = {
        heading: {name for row in rows for name in row[0].replace("`", "").split(", ")}
        for heading, rows in tables(PAGE).items()
    }
    assert page["The file"] == set(schema["properties"])
    assert page["A case"] == set(schema["$defs"]["Case"]["properties"])
    assert page["A change"] == set(schema["$defs"]["Given"]["properties"])
    assert page["What is expected"] == set(schema["$defs"]["Expectations"]["properties"])
