"""The compatibility page names the versions that the tests run, the upgrade page every minor version."""

from __future__ import annotations

import re

import pytest

from e2e.cluster import alertmanager, gateway, helm, programs, prometheus, traefik
from e2e.gitops import readers, reconciler
from modelrollout import __version__
from tests.layout.documents import DOCS, ROOT

PAGE = DOCS / "reference" / "compatibility.md"
UPGRADE = DOCS / "how-to" / "upgrade.md"
RUN = {
    "Kubernetes": [programs.KUBERNETES],
    "kubectl, for the plugin": [programs.KUBERNETES],
    "kind": [programs.KIND],
    "Gateway API": [programs.GATEWAY_API],
    "Envoy Gateway": [gateway.VERSION, gateway.ENVOY_VERSION],
    "Traefik": [traefik.VERSION],
    "Istio": [programs.ISTIO_API, gateway.ENVOY_VERSION],
    "Prometheus": [prometheus.VERSION],
    "Alertmanager": [alertmanager.VERSION],
    "Helm": [helm.VERSION],
    "Flux": [readers.KSTATUS, readers.FLUX, reconciler.SSA, reconciler.API],
}


def rows() -> dict[str, str]:
    cells = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {row[0].removeprefix("| "): row[1] for row in cells}


@pytest.mark.parametrize("name", list(RUN))
def test_the_versions_that_are_run_are_those_of_the_page(name: str) -> None:
    told = re.findall(r"\d+\.\d+\.\d+", rows()[name])
    assert set(told) == set(RUN[name])


def test_the_oldest_kubernetes_and_python_are_those_that_are_asked_for() -> None:
    text = PAGE.read_text()
    (least,) = re.findall(r'^kubeVersion: ">=(\d+\.\d+)', (ROOT / "charts/modelrollout/Chart.yaml").read_text(), re.M)
    assert f"| {least}, for the chart's admission policies |" in text
    (python,) = re.findall(r'^requires-python = ">=(\S+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert f"| {python}; the locks resolve for newer ones |" in text


def test_every_minor_version_tells_what_an_upgrade_to_it_takes() -> None:
    minor = ".".join(__version__.split(".")[:2])
    assert f"\n## To {minor}\n" in UPGRADE.read_text()
