"""Who migrates from Debezium keeps the keys, and begins before it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cases.test_cases import called
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/migrating-from-debezium.md"
COMPARED, SWITCHED, KEYED = (yaml.safe_load(block.text) for block in blocks("yaml", PAGE))
OID = "596e275826f08b2730779e1f"


def _key(folder: Path, template: str, document_id: Any) -> str:
    """A record's key by a template, as a case with another one tells it."""
    sink = {**KEYED["sinks"]["topic"], "key": template}
    config = {**COMPARED, "sinks": {"topic": sink}}
    case = {
        "name": "a key",
        "given": [{"operation": "insert", "collection": "orders", "document": {"_id": document_id}}],
        "expect": {"topic": [{"key": "?"}]},
    }
    (folder / "eventbus.yaml").write_text(yaml.safe_dump(config))
    (folder / "cases.yaml").write_text(
        yaml.safe_dump({"config": "eventbus.yaml", "subscription": "shop", "cases": [case]})
    )
    ran = called("test", str(folder / "cases.yaml"), "--json")
    (difference,) = json.loads(ran.output)["differences"]
    return str(json.loads(difference["got"]))


def test_keys_are_those_of_debezium(tmp_path: Path) -> None:
    """Documented by Debezium for its connector for MongoDB: a text that holds JSON, within an object."""
    key = _key(tmp_path, KEYED["sinks"]["topic"]["key"], {"$oid": OID})
    assert key == '{"id":"{\\"$oid\\":\\"%s\\"}"}' % OID  # noqa: UP031 - braces


def test_keys_of_texts_are_those_of_debezium(tmp_path: Path) -> None:
    """The template that the page has for them."""
    template = PAGE.read_text().partition("with texts as `_id` it is `'")[2].partition("'`")[0]
    assert json.loads(_key(tmp_path, template, "a-7")) == {"id": '"a-7"'}


@pytest.mark.parametrize("config", [COMPARED, SWITCHED], ids=["compared", "switched"])
def test_messages_are_those_of_debezium(config: dict[str, Any]) -> None:
    """While both run, and after."""
    (route,) = config["subscriptions"]["shop"]["routes"]
    assert route["encoding"]["envelope"] == "debezium"


def test_the_switch_is_a_route_of_its_own_that_begins_earlier() -> None:
    """A route that was known would go on where it is."""
    (before,), (after,) = (config["subscriptions"]["shop"]["routes"] for config in (COMPARED, SWITCHED))
    assert after["name"] not in {before.get("name"), before["sink"]}
    assert "timestamp" in after["start"]
