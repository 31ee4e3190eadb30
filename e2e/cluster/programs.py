"""The programs a cluster runs, from the build cache; nothing here is built before it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

from e2e.cluster.artifacts import cached, go_binary, go_module_dir

HERE = Path(__file__).parent

KUBERNETES = "1.35.4"
KUBE_NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
GATEWAY_API = "1.6.1"


def kubernetes() -> Path:
    """Directory with etcd, the Kubernetes programs and kubectl (one binary under several names)."""
    major, minor, _ = KUBERNETES.split(".")
    version = "k8s.io/component-base/version"
    stamps = {
        f"{version}.gitVersion": f"v{KUBERNETES}",
        f"{version}.gitMajor": major,
        f"{version}.gitMinor": minor,
        f"{version}.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES}",
    }
    # Without the stamps every component calls itself v0.0.0 and the version skew checks break.
    flags = " ".join(f"-X {variable}={value}" for variable, value in stamps.items())
    binary = go_binary(
        "kube",
        module_dir=HERE / "kube",
        package=".",
        ldflags=f"-s -w {flags}",
        label=f"Kubernetes {KUBERNETES}",
        estimate_s=240,
    )

    def link(directory: Path) -> None:
        for name in KUBE_NAMES:
            (directory / name).symlink_to(binary)

    return cached("kube-programs", key=[str(binary), *KUBE_NAMES], build=link, label="links", estimate_s=1)


def gateway_api_crds() -> Path:
    """Directory of the Gateway API's CRD files (experimental channel), for `kubectl apply -f`."""

    def copy(directory: Path) -> None:
        source = go_module_dir("sigs.k8s.io/gateway-api", f"v{GATEWAY_API}") / "config/crd/experimental"
        for path in sorted(source.glob("*.yaml")):
            if path.name != "kustomization.yaml":
                shutil.copyfile(path, directory / path.name)

    return cached(
        "gateway-api-crds",
        key=[GATEWAY_API, "experimental"],
        build=copy,
        label=f"Gateway API {GATEWAY_API} CRDs",
        estimate_s=5,
    )
