"""The chart, rendered by Helm and looked at, and the schemas of what it renders."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

from eventbus.devservices.tools import custom_resources, tool
from tests.docs.pages import ROOT

__all__ = [
    "CHART",
    "VALUES",
    "conform",
    "environment",
    "helm",
    "of_kind",
    "pod_of",
    "rendered",
    "write_schemas",
]

CHART = ROOT / "helm/eventbus"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
OLDEST, NEWEST = "1.27.0", "1.37.0"
"""Of Kubernetes: what the chart says it needs, and the newest whose schemas there are."""

_CORE_KINDS = (
    *("configmap-v1", "service-v1", "serviceaccount-v1", "deployment-apps-v1", "statefulset-apps-v1"),
    *(
        "poddisruptionbudget-policy-v1",
        "networkpolicy-networking-v1",
        "horizontalpodautoscaler-autoscaling-v2",
    ),
)

Resource = dict[str, Any]


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm to its end."""
    return subprocess.run([*tool("helm").argv, *words], capture_output=True, text=True, check=False)


def rendered(
    *files_of_values: Path,
    chart: Path = CHART,
    version: str = NEWEST,
    settings: Mapping[str, Any] | None = None,
) -> list[Resource]:
    """What would be installed.

    Raises:
        AssertionError: Helm refuses; its message is the error's.
    """
    words = [word for file in files_of_values for word in ("-f", str(file))]
    words += [
        word
        for key, value in (settings or {}).items()
        for word in ("--set-json", f"{key}={json.dumps(value)}")
    ]
    done = helm("template", "x", chart, "--kube-version", version, *words)
    assert done.returncode == 0, done.stderr
    return [resource for resource in yaml.safe_load_all(done.stdout) if resource]


def of_kind(resources: Sequence[Resource], *kinds: str) -> Resource:
    """The only one of these kinds."""
    (found,) = [resource for resource in resources if resource["kind"] in kinds]
    return found


def pod_of(resources: Sequence[Resource]) -> Resource:
    """The template of the pods."""
    template: Resource = of_kind(resources, "Deployment", "StatefulSet")["spec"]["template"]
    return template


def environment(text: str) -> dict[str, str]:
    """A value for every variable that a configuration names."""
    uri = "mongodb://mongodb:27017/?replicaSet=rs0"
    return {"MONGODB_URI": uri, "FULFILMENT_SECRET": "whsec_" + "c2VjcmV0" * 4, "POD_NAME": "x-0"}


def conform(resources: Sequence[Resource], schemas: Path) -> str:
    """What kubeconform says of resources; empty if nothing is wrong."""
    done = subprocess.run(
        [
            *(*tool("kubeconform").argv, "-strict", "-schema-location"),
            f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
            "-",
        ],
        input=yaml.safe_dump_all(resources),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (done.stdout == ""), done.stderr
    return done.stdout


def write_schemas(folder: Path, version: str) -> Path:
    """Put a schema of each kind into a folder, for kubeconform.

    Those of Kubernetes itself are the ones of the package kubernetes-validate; those of the operators'
    resources are made of their Go types. In both, what is not declared is refused.
    """
    with as_file(files("kubernetes_validate") / f"kubernetes-json-schema/v{version}-local-strict") as source:
        shared = json.loads(_own_references((source / "_definitions.json").read_text()))["$defs"]
        for kind in _CORE_KINDS:
            schema = json.loads(_own_references((source / f"{kind}.json").read_text()))
            del schema["$id"]
            (folder / f"{kind}.json").write_text(json.dumps({**schema, "$defs": shared}))
    for file in custom_resources().glob("*.yaml"):
        definition = yaml.safe_load(file.read_text())["spec"]
        kind, group = definition["names"]["kind"].lower(), definition["group"].partition(".")[0]
        for served in definition["versions"]:
            schema = served["schema"]["openAPIV3Schema"]
            for part in _objects(schema):
                part.setdefault("additionalProperties", False)
            schema["properties"]["metadata"] = {"type": "object"}
            (folder / f"{kind}-{group}-{served['name']}.json").write_text(json.dumps(schema))
    return folder


def _own_references(text: str) -> str:
    """As one document: kubeconform does not follow references to another file."""
    return text.replace("/api/_definitions.json#", "#")


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that has properties of its own and does not keep unknown ones."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield schema
        for part in schema.values():
            yield from _objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _objects(part)
