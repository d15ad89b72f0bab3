"""The compose file, as far as it can be checked without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.config import Config, load
from eventbus.registry import Registry
from tests.dist.dockerfile import stages
from tests.dist.image_steps import DOCKERFILE
from tests.dist.monitoring import DASHBOARD, RULES
from tests.docs.pages import ROOT

FOLDER = ROOT / "config/deploy/compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KEYS = {
    *("image", "command", "environment", "volumes", "ports", "healthcheck", "depends_on", "build"),
    *("read_only", "cap_drop", "security_opt", "stop_grace_period"),
}
"""Of a service, by the compose specification, as far as this file uses them."""


def _mounts() -> list[tuple[str, str]]:
    return [
        (name, volume.split(":")[0])
        for name, service in SERVICES.items()
        for volume in service.get("volumes", ())
    ]


def _config() -> Config:
    return load([FOLDER / "eventbus.yaml"], Registry.from_entry_points(), SERVICES["eventbus"]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_seen_by_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= KEYS
    if "build" not in service:
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", service["image"])
    for port in service.get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_is_there_and_says_when_it_is_well(name: str) -> None:
    depends_on = SERVICES[name].get("depends_on", {})
    for other in depends_on:
        assert other in SERVICES
        if isinstance(depends_on, dict):
            assert depends_on[other] == {"condition": "service_healthy"}
            assert SERVICES[other]["healthcheck"]["test"][0] == "CMD"


def test_what_is_mounted_is_there() -> None:
    files = {source for _, source in _mounts() if source.startswith(".")}
    volumes = {source for _, source in _mounts()} - files
    assert volumes == COMPOSE["volumes"].keys()
    assert all((FOLDER / file).is_file() for file in files)
    assert (FOLDER / SERVICES["eventbus"]["build"]["context"]).resolve() == ROOT


def test_the_configuration_is_right_and_lies_where_the_image_looks_for_it() -> None:
    """Its servers are those of the other services."""
    config = _config()
    assert set(config.sinks) == {"orders_topic", "feed"}
    command = stages(DOCKERFILE)["eventbus"].all("CMD")[-1].words
    (target,) = (volume.split(":")[1] for volume in SERVICES["eventbus"]["volumes"])
    assert target == command[-1]
    for text in SERVICES["eventbus"]["environment"].values():
        host = re.sub(r"^\w+://", "", text).split(":")[0]
        assert host in SERVICES
    (port,) = (port.split(":")[2] for port in SERVICES["eventbus"]["ports"])
    assert config.server.port == int(port)
    assert config.server.host == "0.0.0.0"


def test_it_has_time_to_drain() -> None:
    grace = SERVICES["eventbus"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) == _config().daemon.drain_timeout + 10


def test_prometheus_asks_the_daemon_and_has_our_rules() -> None:
    asked = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    (job,) = asked["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in SERVICES
    assert int(port) == _config().server.port
    mounted = {Path(source).name: FOLDER / source for _, source in _mounts() if source.startswith(".")}
    assert mounted[asked["rule_files"][0]].read_text() == RULES.read_text()


def test_grafana_asks_prometheus_and_has_our_dashboard() -> None:
    (source,) = yaml.safe_load((FOLDER / "grafana/datasource.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards.yaml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounts = dict(
        reversed(volume.split(":")[:2]) for volume in SERVICES["grafana"]["volumes"] if volume.startswith(".")
    )
    (dashboard,) = (path for place, path in mounts.items() if place.startswith(provider["options"]["path"]))
    assert (FOLDER / dashboard).read_text() == DASHBOARD.read_text()
