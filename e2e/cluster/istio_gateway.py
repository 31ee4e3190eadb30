"""A plain Envoy as the gateway proxy of an istiod: what runs in the pod of an ingress gateway, on loopback."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.cluster.istio import VERSION, Istiod
from e2e.cluster.loopback import LoopbackServer, ServerFailed
from e2e.cluster.rootfs import envoy

ADDRESS = "127.0.0.1"


class EnvoyFailed(ServerFailed):
    """See `ServerFailed`."""


class IstioGateway(LoopbackServer):
    """One Envoy that is a gateway of `istiod`, chosen by Gateways whose selector has its `labels`.

    Its listeners are those of the Gateways: they should bind to loopback. `url` is its administration. It is ready when
    it has had its first configuration, so that a Gateway must be there before.
    """

    NAME = "Envoy"
    FAILED = EnvoyFailed

    def __init__(
        self, istiod: Istiod, *, namespace: str, labels: Mapping[str, str], ready_timeout: float = 30.0
    ) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="istio-gateway-")), own=True, ready_timeout=ready_timeout)
        self._istiod, self._namespace, self._labels = istiod, namespace, dict(labels)
        self._bootstrap, self._admin = self._directory / "envoy.json", self._directory / "admin"

    def weights(self, host: str) -> list[dict[str, int]]:
        """What its configuration gives the clusters of each weighted route of this host, in order, by name."""
        dump = json.loads(self._get("/config_dump?resource=dynamic_route_configs"))
        hosts = [
            each
            for config in dump.get("configs", ())
            for each in config.get("route_config", {}).get("virtual_hosts", ())
            if host in each["domains"]
        ]
        found = [route.get("route", {}).get("weighted_clusters") for each in hosts for route in each["routes"]]
        return [{part["name"]: part["weight"] for part in weighted["clusters"]} for weighted in found if weighted]

    def refusals(self) -> int:
        """How many configurations it was sent and did not take."""
        told = json.loads(self._get("/stats?filter=update_rejected&format=json"))
        return sum(each["value"] for each in told["stats"] if "value" in each)

    def _command(self) -> list[str]:
        self._bootstrap.write_text(json.dumps(self._configuration()))
        files = ["--config-path", str(self._bootstrap), "--admin-address-path", str(self._admin)]
        return [str(envoy()), *files, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]

    def _find_address(self) -> bool:
        found = self._admin.read_text() if self._admin.is_file() else ""
        self._listen = found or self._listen
        return bool(found)

    def _is_ready(self) -> bool:
        try:
            return self._get("/ready").strip() == b"LIVE"
        except (ServerFailed, OSError):
            return False

    def _configuration(self) -> dict[str, Any]:
        """As Istio's own template has it, but that discovery is asked directly and not through an agent in the pod."""
        host, port = self._listen.rsplit(":", 1)
        return {
            "node": {
                "id": f"router~{ADDRESS}~gateway.{self._namespace}~{self._namespace}.svc.cluster.local",
                "cluster": f"gateway.{self._namespace}",
                "metadata": {
                    "NAMESPACE": self._namespace,
                    "LABELS": self._labels,
                    "CLUSTER_ID": "Kubernetes",
                    "INSTANCE_IPS": ADDRESS,
                    "ISTIO_VERSION": VERSION,
                },
            },
            "admin": {"address": _address(host, int(port))},
            "dynamic_resources": {
                "lds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
                "cds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "set_node_on_first_message_only": True,
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
                },
            },
            "static_resources": {"clusters": [_discovery(*self._istiod.discovery)]},
        }


def _discovery(host: str, port: int) -> dict[str, Any]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2: dict[str, Any] = {"explicit_http_config": {"http2_protocol_options": {}}}
    return {
        "name": "xds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "xds-grpc",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, port)}}]}],
        },
        "typed_extension_protocol_options": {options: {"@type": f"type.googleapis.com/{options}", **http2}},
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
