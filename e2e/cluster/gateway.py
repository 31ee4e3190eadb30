"""Envoy Gateway in the cluster: the same chart, image names and objects as on a user's cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from e2e.cluster import helm
from e2e.cluster.artifacts import cached, go_binary, go_module_dir
from e2e.cluster.images import build_image
from e2e.cluster.rootfs import envoy, libc_base, skeleton

VERSION = "1.9.0"
ENVOY_VERSION = "1.39.0"
MODULE = "github.com/envoyproxy/gateway"
GATEWAY_IMAGE = f"docker.io/envoyproxy/gateway:v{VERSION}"
ENVOY_IMAGE = f"docker.io/envoyproxy/envoy:distroless-v{ENVOY_VERSION}"

SYSTEM_NAMESPACE = "envoy-gateway-system"
NAMESPACE = "infra"
GATEWAY = "public"
GATEWAY_CLASS = "envoy"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
TIMEOUT_S = 180


class Cluster(Protocol):
    """What this module needs of a running cluster."""

    def exec(self, argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program where the cluster is reached, with KUBECONFIG set. Raises when it fails."""


def images() -> list[Path]:
    """Archives of the two images the gateway needs: Envoy Gateway and Envoy, under their upstream names."""
    return [_gateway_image(), _envoy_image()]


def install(cluster: Cluster) -> None:
    """Install Envoy Gateway and make GatewayClass `envoy` and Gateway `infra/public` (HTTP, port 80).

    Routes of every namespace may attach to its listener `http`. The images must be in the nodes. Returns
    before the Gateway is ready: see `wait_programmed`.
    """
    # Nothing is gained here by the webhook that labels proxies by zone; the rest is the chart's default.
    settings = "topologyInjector.enabled=false,deployment.envoyGateway.readinessProbe.periodSeconds=1"
    flags = ["--namespace", SYSTEM_NAMESPACE, "--create-namespace", f"--timeout={TIMEOUT_S}s"]
    # No --wait: it costs 2 s, and Programmed, which follows, says more.
    cluster.exec([helm.binary(), "install", "eg", chart(), *flags, f"--set={settings}"])
    cluster.exec(["kubectl", "apply", "-f", _manifest()])


def wait_programmed(cluster: Cluster) -> None:
    """Return when the Gateway has an address and its Envoy is ready; raises what `cluster.exec` raises."""
    flags = ["--namespace", NAMESPACE, "--for=condition=Programmed", f"--timeout={TIMEOUT_S}s"]
    cluster.exec(["kubectl", "wait", f"gateway/{GATEWAY}", *flags])


def address(cluster: Cluster) -> str:
    """`host:port` of the Gateway, a Service's cluster address: reached from pods and from the node.

    Raises LookupError when the Gateway has none yet.
    """
    got = cluster.exec(["kubectl", "get", "gateway", GATEWAY, "--namespace", NAMESPACE, "--output", "json"])
    addresses: list[dict[str, str]] = json.loads(got.stdout).get("status", {}).get("addresses", [])
    if not addresses:
        raise LookupError(f"Gateway {NAMESPACE}/{GATEWAY} has no address yet; call wait_programmed first")
    return f"{addresses[0]['value']}:80"


def chart() -> Path:
    """Envoy Gateway's Helm chart with its CRDs (Gateway API included), copied from its Go module."""

    def build(directory: Path) -> None:
        source = go_module_dir(MODULE, f"v{VERSION}") / "charts" / "gateway-helm"
        target = directory / "gateway-helm"
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)  # the module cache is read-only
        # What the project's release does: fill the template, set the versions.
        values = (target / "values.tmpl.yaml").read_text()
        values = values.replace("${GatewayImage}", GATEWAY_IMAGE)
        values = values.replace("${GatewayImagePullPolicy}", "IfNotPresent")
        (target / "values.yaml").write_text(values)
        (target / "values.tmpl.yaml").unlink()
        about = (target / "Chart.yaml").read_text()
        about = about.replace("v0.0.0-latest", f"v{VERSION}").replace('"latest"', f'"v{VERSION}"')
        (target / "Chart.yaml").write_text(about)

    key = [VERSION, GATEWAY_IMAGE, "1"]
    path = cached("gateway-chart", key=key, build=build, label="Envoy Gateway's chart", estimate_s=5)
    return path / "gateway-helm"


def manifests() -> list[dict[str, Any]]:
    """The objects beside the chart: EnvoyProxy, GatewayClass, namespace and Gateway."""
    fast = {"startupProbe": {"periodSeconds": 1}, "readinessProbe": {"periodSeconds": 1}}
    containers = [{"name": name, **fast} for name in ("envoy", "shutdown-manager")]
    proxy = {
        # A LoadBalancer would never get an address here, and the Gateway never be Programmed.
        "envoyService": {"type": "ClusterIP"},
        "envoyDeployment": {
            "container": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
            # Programmed in 2-4 s instead of 12 s.
            "patch": {
                "type": "StrategicMerge",
                "value": {"spec": {"template": {"spec": {"containers": containers}}}},
            },
        },
    }
    return [
        _object(
            "gateway.envoyproxy.io/v1alpha1",
            "EnvoyProxy",
            {"name": GATEWAY, "namespace": SYSTEM_NAMESPACE},
            spec={
                "provider": {"type": "Kubernetes", "kubernetes": proxy},
                "shutdown": {"drainTimeout": "5s"},
            },
        ),
        _object(
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            {"name": GATEWAY_CLASS},
            spec={
                "controllerName": CONTROLLER,
                "parametersRef": {
                    "group": "gateway.envoyproxy.io",
                    "kind": "EnvoyProxy",
                    "name": GATEWAY,
                    "namespace": SYSTEM_NAMESPACE,
                },
            },
        ),
        _object("v1", "Namespace", {"name": NAMESPACE}),
        _object(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            {"name": GATEWAY, "namespace": NAMESPACE},
            spec={
                "gatewayClassName": GATEWAY_CLASS,
                "listeners": [
                    {
                        "name": "http",
                        "port": 80,
                        "protocol": "HTTP",
                        "allowedRoutes": {"namespaces": {"from": "All"}},
                    }
                ],
            },
        ),
    ]


def _object(
    version: str, kind: str, metadata: Mapping[str, str], *, spec: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": dict(metadata)}
    return found | ({"spec": dict(spec)} if spec is not None else {})


def _manifest() -> Path:
    text = yaml.safe_dump_all(manifests(), sort_keys=False)

    def build(directory: Path) -> None:
        (directory / "gateway.yaml").write_text(text)

    path = cached("gateway-manifest", key=[text], build=build, label="the Gateway's objects", estimate_s=1)
    return path / "gateway.yaml"


def _gateway_image() -> Path:
    binary = go_binary(
        "envoy-gateway",
        module_dir=Path(__file__).parent / "go" / "gateway",
        package=f"{MODULE}/cmd/envoy-gateway",
        ldflags=f"-s -w -X {MODULE}/internal/cmd/version.envoyGatewayVersion=v{VERSION}",
        label=f"Envoy Gateway {VERSION}",
        estimate_s=160,
    )
    name, tag = GATEWAY_IMAGE.rsplit(":", 1)
    layers = [{"/": skeleton(), "/usr/local/bin/envoy-gateway": binary}]
    return build_image(name, tag=tag, layers=layers, entrypoint=["/usr/local/bin/envoy-gateway"])


def _envoy_image() -> Path:
    name, tag = ENVOY_IMAGE.rsplit(":", 1)
    layers = [{"/": libc_base(), "/usr/local/bin/envoy": envoy()}]
    return build_image(name, tag=tag, layers=layers, entrypoint=["/usr/local/bin/envoy"])
