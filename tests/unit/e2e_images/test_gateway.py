import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import gateway, helm


class Recorder:
    """Stands in for the cluster: keeps the commands, answers the last one with `answer`."""

    def __init__(self, answer: str = "") -> None:
        self.commands: list[list[str]] = []
        self._answer = answer

    def exec(self, argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        self.commands.append([str(part) for part in argv])
        return subprocess.CompletedProcess(argv, 0, stdout=self._answer, stderr="")


def found(kind: str) -> dict[str, Any]:
    [one] = [document for document in gateway.manifests() if document["kind"] == kind]
    return one


def test_the_gateway_takes_routes_of_every_namespace_on_port_80() -> None:
    one = found("Gateway")
    assert (one["metadata"]["namespace"], one["metadata"]["name"]) == ("infra", "public")
    [listener] = one["spec"]["listeners"]
    assert (listener["name"], listener["port"], listener["protocol"]) == ("http", 80, "HTTP")
    assert listener["allowedRoutes"] == {"namespaces": {"from": "All"}}
    assert found("Namespace")["metadata"]["name"] == "infra"


def test_the_class_names_the_controller_and_an_envoyproxy_that_is_there() -> None:
    spec = found("GatewayClass")["spec"]
    assert spec["controllerName"] == "gateway.envoyproxy.io/gatewayclass-controller"
    proxy = found("EnvoyProxy")
    assert found("Gateway")["spec"]["gatewayClassName"] == found("GatewayClass")["metadata"]["name"]
    assert spec["parametersRef"]["name"] == proxy["metadata"]["name"]
    assert spec["parametersRef"]["namespace"] == proxy["metadata"]["namespace"]


def test_the_proxy_needs_no_load_balancer_and_is_ready_quickly() -> None:
    provider = found("EnvoyProxy")["spec"]["provider"]["kubernetes"]
    assert provider["envoyService"]["type"] == "ClusterIP"
    patch = provider["envoyDeployment"]["patch"]
    assert patch["type"] == "StrategicMerge"
    containers = patch["value"]["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: (c["startupProbe"], c["readinessProbe"]) for c in containers} == {
        name: ({"periodSeconds": 1}, {"periodSeconds": 1}) for name in ("envoy", "shutdown-manager")
    }


def test_install_runs_helm_and_applies_the_objects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))
    monkeypatch.setattr(helm, "binary", lambda: Path("/tools/helm"))
    monkeypatch.setattr(gateway, "chart", lambda: Path("/charts/gateway-helm"))
    cluster = Recorder()
    gateway.install(cluster)
    chart, objects = cluster.commands
    assert chart[:4] == ["/tools/helm", "install", "eg", "/charts/gateway-helm"]
    assert chart[chart.index("--namespace") + 1] == "envoy-gateway-system"
    assert objects[:3] == ["kubectl", "apply", "-f"]
    assert list(yaml.safe_load_all(Path(objects[3]).read_text())) == gateway.manifests()


def test_waits_for_programmed() -> None:
    cluster = Recorder()
    gateway.wait_programmed(cluster)
    [command] = cluster.commands
    assert command[:3] == ["kubectl", "wait", "gateway/public"]
    assert "--for=condition=Programmed" in command


def test_the_address_is_that_of_the_gateways_status() -> None:
    status = {"addresses": [{"type": "IPAddress", "value": "10.96.3.4"}]}
    assert gateway.address(Recorder(json.dumps({"status": status}))) == "10.96.3.4:80"


@pytest.mark.parametrize("document", [{}, {"status": {}}, {"status": {"addresses": []}}])
def test_no_address_is_an_error_that_says_what_to_do(document: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match=r"infra/public has no address yet; call wait_programmed first"):
        gateway.address(Recorder(json.dumps(document)))


def test_the_chart_is_made_from_the_modules_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "module/charts/gateway-helm"
    (source / "templates").mkdir(parents=True)
    (source / "templates/a.yaml").write_text("a: 1\n")
    (source / "Chart.yaml").write_text('version: v0.0.0-latest\nappVersion: "latest"\n')
    (source / "values.tmpl.yaml").write_text("image: ${GatewayImage}\npull: ${GatewayImagePullPolicy}\n")
    for path in [*source.rglob("*"), source]:
        path.chmod(path.stat().st_mode & 0o555)
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gateway, "go_module_dir", lambda module, version: tmp_path / "module")
    chart = gateway.chart()
    assert yaml.safe_load((chart / "values.yaml").read_text()) == {
        "image": "docker.io/envoyproxy/gateway:v1.9.0",
        "pull": "IfNotPresent",
    }
    assert yaml.safe_load((chart / "Chart.yaml").read_text()) == {
        "version": "v1.9.0",
        "appVersion": "v1.9.0",
    }
    assert not (chart / "values.tmpl.yaml").exists()
    assert (chart / "templates/a.yaml").read_text() == "a: 1\n"
    (chart / "templates/b.yaml").write_text("writable")
