"""The example configuration is right, and the demo fills in all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import eventbus.demo.configuration as module
from eventbus.config import load
from eventbus.demo.configuration import config_files, variables
from eventbus.demo.servers import Servers
from eventbus.demo.shop import COLLECTIONS
from eventbus.registry import Registry

CHECKOUT = Path(__file__).parents[2]


def set_variables(*, kafka: bool) -> Mapping[str, str]:
    servers = Servers(
        mongo=cast(Any, SimpleNamespace(uri="mongodb://127.0.0.1:1/?replicaSet=rs0")),
        redis=cast(Any, SimpleNamespace(url="redis://127.0.0.1:2/0")),
        kafka=cast(Any, SimpleNamespace(bootstrap_servers="127.0.0.1:3")) if kafka else None,
        name="shop_demo_1",
    )
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
    return variables(servers, file=Path("/tmp/f"), port=4, webhook_url="http://127.0.0.1:5/", secret=secret)


@pytest.mark.parametrize("kafka", [False, True])
@pytest.mark.parametrize("filled_in", [False, True])
def test_the_files_are_right_with_and_without_the_variables(kafka: bool, filled_in: bool) -> None:
    environ = set_variables(kafka=kafka) if filled_in else {}

    config = load(config_files(kafka=kafka), Registry.from_entry_points(), environ)

    assert set(config.subscriptions) == ({"shop", "shop-topics"} if kafka else {"shop"})


@pytest.mark.parametrize("kafka", [False, True])
def test_every_variable_of_the_files_is_filled_in_and_no_other(kafka: bool) -> None:
    texts = [path.read_text() for path in config_files(kafka=kafka)]
    code = "\n".join(
        line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")
    )

    assert set(re.findall(r"\$\{(\w+)", code)) == set(set_variables(kafka=kafka))


def test_every_collection_of_the_shop_is_watched() -> None:
    for path in config_files(kafka=True):
        assert f"collections: [{', '.join(COLLECTIONS)}]" in path.read_text()


def test_a_checkout_has_them_under_config() -> None:
    assert [path.parent for path in config_files(kafka=True)] == [CHECKOUT / "config"] * 2


def test_an_installed_package_has_them_beside_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "eventbus" / "demo"
    installed.mkdir(parents=True)
    (installed / "demo.yaml").write_text("")
    monkeypatch.setattr(module, "__file__", str(installed / "configuration.py"))

    assert config_files(kafka=False) == [installed / "demo.yaml"]
    with pytest.raises(FileNotFoundError, match=r"demo-kafka\.yaml is missing"):
        config_files(kafka=True)
