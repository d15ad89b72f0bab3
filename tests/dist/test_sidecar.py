"""The chart as a part of another one, whose pods have the daemon beside their application."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dist.chart import CHART, NEWEST, conform, of_kind, pod_of, rendered, write_schemas
from tests.dist.test_chart import _loaded

pytestmark = pytest.mark.dist


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A chart with this one as its dependency, unpacked as `helm dependency build` would."""
    folder = tmp_path / "shop"
    shutil.copytree(Path(__file__).parent / "charts/shop", folder)
    shutil.copytree(CHART, folder / "charts/eventbus")
    return folder


@pytest.mark.parametrize("native", [True, False])
def test_the_application_s_pod_has_the_daemon_beside_it(shop: Path, tmp_path: Path, native: bool) -> None:
    """As an init container that stays, or as one more container; with its volumes and its time to drain."""
    resources = rendered(chart=shop, settings={"eventbus.sidecar.native": native})
    pod = pod_of(resources)["spec"]
    daemons = pod["initContainers"] if native else pod["containers"][1:]
    assert [(daemon["name"], daemon.get("restartPolicy")) for daemon in daemons] == [
        ("eventbus", "Always" if native else None)
    ]
    assert {mount["name"] for mount in daemons[0]["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] == 11
    config = next(r for r in resources if r["kind"] == "ConfigMap")
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    assert _loaded(resources, tmp_path).subscriptions.keys() == {"orders"}
    assert conform(resources, write_schemas(tmp_path, NEWEST)) == ""


def test_nothing_else_is_installed_but_what_a_sidecar_needs(shop: Path) -> None:
    """The one deployment is the application's; the alerts come along."""
    kinds = sorted(resource["kind"] for resource in rendered(chart=shop))
    assert kinds == ["ConfigMap", "Deployment", "PrometheusRule"]
    assert of_kind(rendered(chart=shop), "Deployment")["metadata"]["name"] == "shop"


def test_a_sidecar_beside_the_chart_s_own_pods_is_refused(shop: Path) -> None:
    """Two deployments of one configuration would be a mistake."""
    with pytest.raises(AssertionError, match=r"eventbus\.sidecar needs workload: None"):
        rendered(chart=shop, settings={"eventbus.workload": "Deployment"})
