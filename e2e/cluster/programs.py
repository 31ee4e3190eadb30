"""The programs a cluster runs, from the build cache; nothing here is built before it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

from e2e.cluster.artifacts import cached, debian_tree, go_binary, go_module_dir

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
KIND = "0.33.0"
COREDNS = "1.14.7"
KWOK = "0.8.0"
GATEWAY_API = "1.6.1"
ISTIO_API = "1.31.1"
NODE_PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "iproute2",
    "conntrack",
    "socat",
    "ethtool",
)


def kubernetes() -> Path:
    """Directory with etcd, the Kubernetes programs and kubectl (one binary under several names)."""
    binary = kube()

    def link(directory: Path) -> None:
        for name in KUBE_NAMES:
            (directory / name).symlink_to(binary)

    return cached("kube-programs", key=[str(binary), *KUBE_NAMES], build=link, label="links", estimate_s=1)


def kube() -> Path:
    """The binary behind KUBE_NAMES: the name it is called by says which program it is."""
    return go_binary(
        "kube",
        module_dir=HERE / "kube",
        package=".",
        ldflags=_kubernetes_flags(),
        label=f"Kubernetes {KUBERNETES}",
        estimate_s=240,
    )


def kubeadm() -> Path:
    """kubeadm of the same Kubernetes; quick where that has been built before."""
    return go_binary(
        "kubeadm",
        module_dir=HERE / "go" / "kubeadm",
        package="k8s.io/kubernetes/cmd/kubeadm",
        ldflags=_kubernetes_flags(),
        label=f"kubeadm {KUBERNETES}",
        estimate_s=60,
    )


def _kubernetes_flags() -> str:
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
    return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in stamps.items())])


def kind() -> Path:
    """The kind program."""
    return go_binary(
        "kind",
        module_dir=HERE / "go" / "kind",
        package="sigs.k8s.io/kind",
        ldflags="-s -w",
        label=f"kind {KIND}",
        estimate_s=20,
    )


def kind_tools() -> Path:
    """Directory with kind and kubectl, to be put on PATH."""
    links = {"kind": kind(), "kubectl": kubernetes() / "kubectl"}

    def link(directory: Path) -> None:
        for name, target in links.items():
            (directory / name).symlink_to(target)

    key = [f"{name} {target}" for name, target in links.items()]
    return cached("kind-tools", key=key, build=link, label="links", estimate_s=1)


def node_tree() -> Path:
    """File tree with containerd, runc, the CNI plugins and iptables as the machine's distribution has them."""
    return debian_tree("node", NODE_PACKAGES)


def coredns() -> Path:
    """CoreDNS with the kubernetes plugin."""
    return go_binary(
        "coredns",
        module_dir=HERE / "go" / "coredns",
        package=".",
        ldflags="-s -w",
        label=f"CoreDNS {COREDNS}",
        estimate_s=92,
    )


def kwok() -> Path:
    """KWOK, which plays kubelet for fake nodes."""
    return go_binary(
        "kwok",
        module_dir=HERE / "go" / "kwok",
        package="sigs.k8s.io/kwok/cmd/kwok",
        ldflags="-s -w",
        label=f"KWOK {KWOK}",
        estimate_s=60,
    )


def kwok_stages() -> list[Path]:
    """KWOK's own stage files: nodes are ready at once and renew their leases, pods run and end at once."""
    stages = go_module_dir("sigs.k8s.io/kwok", f"v{KWOK}") / "kustomize" / "stage"
    folders = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
    files = [path for folder in folders for path in sorted((stages / folder).glob("*.yaml"))]
    return [path for path in files if path.name != "kustomization.yaml"]


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


def istio_crds() -> Path:
    """Directory with the CRDs of Istio's networking API, in one file."""
    wanted = b"\n  group: networking.istio.io\n"

    def pick(directory: Path) -> None:
        source = go_module_dir("istio.io/api", f"v{ISTIO_API}") / "kubernetes/customresourcedefinitions.gen.yaml"
        found = [part for part in source.read_bytes().split(b"\n---\n") if wanted in part]
        (directory / "networking.yaml").write_bytes(b"\n---\n".join(found))

    label = f"CRDs of Istio's API {ISTIO_API}"
    return cached("istio-crds", key=[ISTIO_API, wanted], build=pick, label=label, estimate_s=5)
