"""What the chart installs is understood by Kubernetes and by the daemon, and fits together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.config import Config, load
from eventbus.registry import Registry
from tests.dist.chart import (
    CHART,
    NEWEST,
    OLDEST,
    VALUES,
    conform,
    environment,
    helm,
    of_kind,
    pod_of,
    rendered,
    write_schemas,
)
from tests.dist.dockerfile import stages
from tests.dist.image_steps import DOCKERFILE
from tests.dist.monitoring import ALERTS, DASHBOARD, RULES
from tests.docs.pages import ROOT, Block, blocks

pytestmark = pytest.mark.dist

MINIMAL, PRODUCTION, SQLITE = (
    CHART / f"ci/{name}-values.yaml" for name in ("minimal", "production", "sqlite")
)
ALWAYS = {"ServiceAccount", "Service"}
KINDS = {
    "minimal": {"ConfigMap", "Deployment", "PodDisruptionBudget"},
    "production": {
        *("ConfigMap", "Deployment", "PodDisruptionBudget", "NetworkPolicy"),
        *("ServiceMonitor", "PrometheusRule"),
    },
    "sqlite": {"ConfigMap", "StatefulSet"},
    "hpa": {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler"},
    "keda": {
        *("ConfigMap", "StatefulSet", "PodDisruptionBudget", "ScaledObject"),
        *("ServiceMonitor", "PrometheusRule"),
    },
}
of_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


@pytest.fixture(scope="module", params=[OLDEST, NEWEST])
def schemas(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A version of Kubernetes and the schemas of its resources, and of the operators'."""
    version = str(request.param)
    return version, write_schemas(tmp_path_factory.mktemp("schemas"), version)


@of_values
def test_helm_finds_nothing(values: Path) -> None:
    """Not even a warning; it wants an icon, which we have none of."""
    done = helm("lint", "--strict", "--quiet", CHART, "-f", values)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


@of_values
def test_kubernetes_understands_it(values: Path, schemas: tuple[str, Path]) -> None:
    """Every field of every resource, in the oldest version that the chart allows and in the newest."""
    version, folder = schemas
    resources = rendered(values, version=version)
    assert {resource["kind"] for resource in resources} == KINDS[values.stem.partition("-")[0]] | ALWAYS
    assert conform(resources, folder) == ""


@pytest.mark.parametrize("kind", ["Deployment", "ServiceMonitor", "PrometheusRule", "NetworkPolicy"])
def test_a_misspelt_field_would_be_found(kind: str, schemas: tuple[str, Path]) -> None:
    """Else the test above would prove nothing; in resources of operators, too."""
    resources = rendered(PRODUCTION)
    of_kind(resources, kind)["spec"]["replicaz"] = 1
    assert "additional properties 'replicaz' not allowed" in conform(resources, schemas[1])


@pytest.mark.parametrize(
    "values", [v for v in VALUES if "existingConfigMap" not in v.read_text()], ids=lambda path: path.stem
)
def test_the_daemon_understands_its_configuration(values: Path, tmp_path: Path) -> None:
    """As it lies in the ConfigMap, variables and files included."""
    assert _loaded(rendered(values), tmp_path).subscriptions.keys() == {"orders"}


def _loaded(resources: list[dict[str, Any]], folder: Path) -> Config:
    config = next(r for r in resources if r["kind"] == "ConfigMap" and "eventbus.yaml" in r["data"])
    text = config["data"]["eventbus.yaml"].replace("/run/secrets/eventbus", str(folder))
    (folder / "mongodb_uri").write_text(environment(text)["MONGODB_URI"])
    (folder / "eventbus.yaml").write_text(text)
    return load([folder / "eventbus.yaml"], Registry.from_entry_points(), environment(text))


@pytest.mark.parametrize(
    ("drain", "secs"),
    [(None, 35), ("25s", 35), ("1.5m", 100), ("500ms", 11), ("2h", 7210), ("0s", 10), ("10500ms", 21)],
)
def test_a_pod_has_the_time_that_a_drain_takes(drain: str | None, secs: int) -> None:
    """Whole seconds, upwards, and ten more."""
    settings = {"config.daemon.drain_timeout": drain} if drain else {}
    pod = pod_of(rendered(MINIMAL, settings=settings))
    assert pod["spec"]["terminationGracePeriodSeconds"] == secs


def test_a_changed_configuration_makes_new_pods() -> None:
    """And nothing else does: the checksum is of the configuration."""

    def checksum(**settings: Any) -> str:
        pod = pod_of(rendered(MINIMAL, settings=settings))
        return str(pod["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum(replicas=5)
    assert checksum() != checksum(**{"config.daemon.lease": "20s"})


def test_a_configuration_that_is_reloaded_makes_none() -> None:
    """The pods are the same before and after."""

    def pod(**settings: Any) -> dict[str, Any]:
        reloads = {"rollOnConfigChange": False, "config.daemon.watch_config": True}
        return pod_of(rendered(MINIMAL, settings=reloads | settings))

    assert pod() == pod(**{"config.daemon.lease": "20s"})


@of_values
def test_the_container_has_few_rights(values: Path) -> None:
    """Nobody's, on a root that is read-only, as the image is made for."""
    spec = pod_of(rendered(values))["spec"]
    (container,) = spec["containers"]
    rights = container["securityContext"]
    user, _, group = stages(DOCKERFILE)["eventbus"].one("USER").rest.partition(":")
    assert (rights["runAsUser"], rights["runAsGroup"]) == (int(user), int(group))
    assert rights["runAsNonRoot"]
    assert rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False


@of_values
def test_what_belongs_together_finds_each_other(values: Path) -> None:
    """Selectors match the pods' labels, ports have one name, volumes and the target of a scaler are there."""
    resources = rendered(values)
    pod, workload = pod_of(resources), of_kind(resources, "Deployment", "StatefulSet")
    labels = pod["metadata"]["labels"]
    (container,) = pod["spec"]["containers"]
    for resource in resources:
        for selector in _selectors(resource):
            assert selector.items() <= labels.items(), resource["kind"]
    (port,) = container["ports"]
    service = of_kind(resources, "Service")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["spec"]["ports"][0]["port"] == port["containerPort"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]} | claimed
    for resource in resources:
        if target := resource.get("spec", {}).get("scaleTargetRef"):
            assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
            assert "replicas" not in workload["spec"]


def _selectors(resource: dict[str, Any]) -> list[dict[str, str]]:
    spec = resource.get("spec", {})
    if resource["kind"] == "Service":
        return [spec["selector"]]
    found = [spec[name]["matchLabels"] for name in ("selector", "podSelector") if name in spec]
    spread = spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", [])
    return found + [constraint["labelSelector"]["matchLabels"] for constraint in spread]


def test_the_pod_runs_what_the_image_runs() -> None:
    """The configuration is mounted where the image looks for it."""
    (container,) = pod_of(rendered(MINIMAL))["spec"]["containers"]
    image = stages(DOCKERFILE)["eventbus"]
    assert container["args"] == image.one("CMD").words
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["args"][-1] == mounts["eventbus-config"] + "/eventbus.yaml"
    assert mounts["eventbus-data"] == image.one("WORKDIR").rest


def test_probes_and_metrics_go_to_the_port_of_the_configuration() -> None:
    """Which is not always 8686."""
    (container,) = pod_of(rendered(SQLITE))["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == 9000


def test_the_alerts_are_those_of_the_file() -> None:
    """Expressions and texts as they are; the runbook where it can be read; none that is not wanted."""
    shipped = yaml.safe_load(RULES.read_text())["groups"]
    keda = of_kind(rendered(CHART / "ci/keda-values.yaml"), "PrometheusRule")
    assert keda["spec"]["groups"] == shipped
    *groups, ours = of_kind(rendered(PRODUCTION), "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert ALERTS.keys() - alerts.keys() == {"EventbusAbsent"}
    assert ours["name"] == "ours"
    urls = {rule["annotations"]["runbook_url"].partition("#")[0] for rule in alerts.values()}
    assert urls == {"https://docs.example.com/eventbus/runbook"}


def test_the_dashboard_is_that_of_the_file() -> None:
    """With the label that Grafana's sidecar looks for."""
    boards = [r for r in rendered(PRODUCTION) if r["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(boards[0]["data"]["eventbus.json"]) == json.loads(DASHBOARD.read_text())
    assert boards[0]["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"replicaz": 2}, "additional properties 'replicaz' not allowed"),
        ({"workload": "DaemonSet"}, "value must be one of"),
        ({"config.sinks": None}, "at '/config/sinks': got null, want object"),
        ({"config.server.host": "127.0.0.1"}, "need 0.0.0.0"),
        ({"config.daemon.drain_timeout": "25"}, "does not match pattern"),
        ({"persistence.enabled": True}, "persistence.enabled needs workload: StatefulSet"),
        ({"config.state": {"type": "sqlite", "path": "x"}}, "state.type sqlite is for one daemon"),
        ({"config.state": {"type": "sqlite", "path": "x"}, "replicas": 1}, "keeps positions in a file"),
        ({"autoscaling.type": "hpa", "workload": "None"}, "autoscaling needs a workload"),
        ({"rollOnConfigChange": False}, "needs config.daemon.watch_config: true"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], complaint: str) -> None:
    """Before it is installed, with what to do."""
    with pytest.raises(AssertionError) as refused:
        rendered(MINIMAL, settings=settings)
    assert complaint in str(refused.value)


def test_a_configuration_that_is_missing_is_asked_for() -> None:
    """Without values there is nothing to install."""
    with pytest.raises(
        AssertionError, match=r"config\.mongodb is missing: config is the daemon's configuration"
    ):
        rendered()


@pytest.mark.parametrize("block", blocks("yaml", ROOT / "docs/deployment.md"), ids=str)
def test_the_values_on_the_page_can_be_installed(block: Block, tmp_path: Path) -> None:
    """And their configuration is one that the daemon takes."""
    values = tmp_path / "values.yaml"
    values.write_text(block.text)
    assert _loaded(rendered(values), tmp_path).subscriptions.keys() == {"orders"}


@pytest.mark.parametrize(
    ("values", "workload"), [(MINIMAL, "deployment/x-eventbus"), (SQLITE, "statefulset/x-eventbus")]
)
def test_what_is_said_after_an_installation_names_what_is_there(
    values: Path, workload: str, tmp_path: Path
) -> None:
    """The notes, which Helm shows only of a cluster: so a copy of the chart has them as a resource."""
    chart = Path(shutil.copytree(CHART, tmp_path / "eventbus"))
    notes = (chart / "templates/NOTES.txt").read_text()
    defined = f'{{{{- define "notes" }}}}{notes}{{{{- end }}}}\n'
    (chart / "templates/notes.yaml").write_text(
        defined + 'kind: Notes\nnotes: {{ include "notes" . | quote }}\n'
    )
    said = of_kind(rendered(values, chart=chart), "Notes")["notes"]
    assert f"exec {workload} -- eventbus position show -c /etc/eventbus/eventbus.yaml" in said
    assert "drains for at most 25s, and is killed after 35 s" in said
