"""Programs that check what is shipped: found on PATH, or fetched into the cache beside the servers.

They run to their end and leave nothing behind. None of them is needed to run the daemon.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from eventbus.devservices._errors import FetchFailed, Unavailable
from eventbus.devservices._fetch_debian import DebianProgram
from eventbus.devservices._fetch_go import GoProgram, GoResources
from eventbus.devservices._finding import Program

__all__ = ["TOOLS", "custom_resources", "tool"]

T = TypeVar("T")

_KEDA: Final = "github.com/kedacore/keda/v2"
_MONITORING: Final = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"

_RESOURCES: Final = GoResources(
    name="custom-resources-1",
    packages=(f"{_MONITORING}/v1", f"{_KEDA}/apis/keda/v1alpha1"),
    modules=(
        f"{_MONITORING}@v0.95.2",
        f"{_KEDA}/apis/keda/v1alpha1@v2.21.0",
        "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0",
    ),
)

TOOLS: Final[Mapping[str, Callable[[], Program]]] = {
    "promtool": DebianProgram("promtool", ("prometheus",), "usr/bin/promtool", "about 20 MB").fetch,
    "prometheus": DebianProgram("promtool", ("prometheus",), "usr/bin/prometheus", "about 20 MB").fetch,
    "helm": GoProgram("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0").fetch,
    "kubeconform": GoProgram("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.7.0").fetch,
    "compose-go": GoProgram("compose-go", "github.com/compose-spec/compose-go/v2/cmd", "v2.16.2").fetch,
}
"""How each is fetched."""


def tool(name: str) -> Program:
    """A program by its name.

    Raises:
        Unavailable: it is not on PATH and cannot be fetched here.
    """
    found = shutil.which(name)
    return Program((found,)) if found else _had(name, TOOLS[name])


def custom_resources() -> Path:
    """A folder with the definitions of the resources of Prometheus' operator and of KEDA.

    Raises:
        Unavailable: they cannot be made here.
    """
    return _had("definitions of custom resources", _RESOURCES.fetch)


def _had(name: str, fetch: Callable[[], T]) -> T:
    try:
        return fetch()
    except FetchFailed as error:
        raise Unavailable(f"No {name} can be had here ({error}): put it on PATH.") from error
