"""istiod, built from its module, run on loopback beside an API server. A build takes minutes, so that nothing asks for
one by itself."""

from __future__ import annotations

import json
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

from e2e.cluster.artifacts import artifact_path, cached, go_build
from e2e.cluster.loopback import LoopbackServer, ServerFailed

MODULE = Path(__file__).parent / "go" / "istio"
PACKAGE = "istio.io/istio/pilot/cmd/pilot-discovery"
VERSION = "1.31.0"
"""What proxies say of themselves. Istio's releases are no versions of its Go module: go.mod names a commit of 1.31."""
TAGS = "disable_pgv"
LABEL = "Istio 1.31"

# What only the Envoy of Istio has (its filters), what needs certificates, and what one istiod alone does not need.
SETTINGS = {
    "POD_NAME": "istiod",
    "POD_NAMESPACE": "istio-system",
    "ENABLE_CA_SERVER": "false",
    "ENABLE_LEADER_ELECTION": "false",
    "INJECT_ENABLED": "false",
    "PILOT_CERT_PROVIDER": "none",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "PILOT_ENABLE_IP_AUTOALLOCATE": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
}
MESH = {"enableAutoMtls": False, "enableTracing": False, "ingressControllerMode": "OFF"}
ASKED = re.compile(r"starting HTTP service at (\S+:\d+)")
DISCOVERY = re.compile(r"starting gRPC discovery service at (\S+:\d+)")


class IstioFailed(ServerFailed):
    """See `ServerFailed`."""


def binary() -> Path:
    """The program; built when it is not there."""

    def build(directory: Path) -> None:
        go_build(directory / "istiod", module_dir=MODULE, package=PACKAGE, tags=TAGS, ldflags="-s -w")

    return cached("istiod", key=_key(), build=build, label=LABEL, estimate_s=300) / "istiod"


def built() -> bool:
    """Whether the program of these very sources has been built."""
    return artifact_path("istiod", key=_key()).is_dir()


class Istiod(LoopbackServer):
    """One istiod on free loopback ports, without TLS, for the objects of one API server.

    All of its settings that are not in SETTINGS and MESH are Istio's own. `analysis`: it writes what its analysis finds
    into the status of its objects, which is off by default. After `stop`, `start` brings it back on the same ports.
    """

    NAME = "istiod"
    READY = "/ready"
    FAILED = IstioFailed

    def __init__(self, kubeconfig: Path, *, analysis: bool = False, ready_timeout: float = 60.0) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="istiod-")), own=True, ready_timeout=ready_timeout)
        self._kubeconfig = kubeconfig
        self._settings = SETTINGS | {"PILOT_ENABLE_ANALYSIS": str(analysis).lower()}
        self._mesh = self._directory / "mesh.yaml"
        self._mesh.write_text(json.dumps(MESH))
        self._discovery = "127.0.0.1:0"

    @property
    def discovery(self) -> tuple[str, int]:
        """Where proxies get their configuration: host and port; the same over `stop` and `start`."""
        host, _, port = self._discovery.rpartition(":")
        return host, int(port)

    def connected(self) -> list[dict[str, Any]]:
        """Its proxies, as `istioctl proxy-status` tells them: their name, and which version of each kind they have."""
        found: list[dict[str, Any]] = json.loads(self._get("/debug/syncz"))
        return found

    def _command(self) -> list[str]:
        return [
            "env",
            *(f"{name}={value}" for name, value in self._settings.items()),
            str(binary()),
            "discovery",
            f"--kubeconfig={self._kubeconfig}",
            f"--meshConfig={self._mesh}",
            f"--httpAddr={self._listen}",
            f"--grpcAddr={self._discovery}",
            # Nothing speaks TLS to it, and what it tells of itself stands at httpAddr.
            "--httpsAddr=",
            "--secureGRPCAddr=",
            "--monitoringAddr=",
            "--ctrlz_port=0",
            "--shutdownDuration=1s",
        ]

    def _find_address(self) -> bool:
        log = self._log.read_text(errors="replace")
        asked, discovery = ASKED.search(log), DISCOVERY.search(log)
        if asked is None or discovery is None:
            return False
        self._listen, self._discovery = asked[1], discovery[1]
        return True


def _key() -> list[str | bytes]:
    files = [(MODULE / name).read_bytes() for name in ("go.mod", "go.sum")]
    return [platform.system(), platform.machine(), PACKAGE, TAGS, *files]


if __name__ == "__main__":
    print(binary())
