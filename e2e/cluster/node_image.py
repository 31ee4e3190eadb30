"""The node image for kind's private engine: a Debian with systemd, containerd and Kubernetes, from our pinned parts.

Where there is an engine of the machine's own, UPSTREAM is used. What kind's base image does to a node comes from kind's
module, files and all; ours are the containerd of Debian and its configuration, the pods' network, the images of
Kubernetes made of the multi-call binary, and a guard before the entry for settings that the whole machine shares.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from e2e.cluster import images, node, programs
from e2e.cluster.artifacts import cached, go_module_dir, remove_tree, run_step
from e2e.cluster.control_plane import SERVICE_RANGE
from e2e.cluster.images import build_image
from e2e.cluster.rootfs import debian_root

UPSTREAM = "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0"
"""kind 0.33's image of our Kubernetes minor version."""
NAME = f"modelrollout.dev/kind-node:v{programs.KUBERNETES}"
CHANGES = (
    'ENTRYPOINT ["/usr/local/bin/guarded", "/usr/local/bin/entrypoint", "/sbin/init"]',
    "ENV container=docker",
)
"""What `docker import` is told of the archive."""
PACKAGES = (
    # Named, or apt would take the other way to a merged /usr, which needs Perl.
    "usr-is-merged",
    "systemd",
    *("containerd", "runc", "containernetworking-plugins"),
    *("conntrack", "iptables", "iproute2", "ethtool", "socat", "kmod"),
    *("util-linux", "mount", "procps", "hostname", "libc-bin", "jq"),
    *("bash", "dash", "coreutils", "debianutils", "findutils", "grep", "gzip", "mawk", "sed", "tar"),
)
REGISTRY = "registry.k8s.io"
COREDNS_TAG, ETCD_TAG = "v1.13.1", "3.6.6-0"
"""Tags that kubeadm of this version asks for; what is under them is ours."""
PROXY_TOOLS = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
MASKED = ("binfmt", "firstboot", "logind", "modules-load", "random-seed", "remount-fs", "sysctl", "udevd")
"""Of systemd's services: those that would act on the machine or need what a container lacks."""
UNWANTED = (
    "sysinit.target.wants/systemd-tmpfiles-setup.service",
    "multi-user.target.wants/*",
    "local-fs.target.wants/*",
    "sockets.target.wants/*udev*",
    "sockets.target.wants/*initctl*",
    "basic.target.wants/*",
)
SHARED_SETTINGS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/core_pattern",
    "fs/file-max",
    "fs/nr_open",
)
"""Settings of the whole machine that systemd or the kubelet would write."""

GUARDED = f"""#!/bin/sh
# The node sees copies of what it would change for the whole machine.
set -eu
mkdir -p /kind/settings
for setting in {" ".join(SHARED_SETTINGS)}; do
  [ -e "/proc/sys/$setting" ] || continue
  copy="/kind/settings/$(echo "$setting" | tr / _)"
  cat "/proc/sys/$setting" > "$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done
# What is sent to a Service before kube-proxy knows it is refused at once; else it would hang for seconds.
for chain in OUTPUT FORWARD; do
  iptables-nft --append "$chain" --destination {SERVICE_RANGE} --jump REJECT
done
exec "$@"
"""

ALTERNATIVES = """#!/bin/sh
# Stands in for Debian's, which knows nothing of packages that were unpacked: "--set iptables /usr/sbin/iptables-nft".
for suffix in "" -save -restore; do
  ln -sf "xtables-${3##*-}-multi" "/usr/sbin/$2$suffix"
done
"""

IMPORT_UNIT = """[Unit]
Description=Images of Kubernetes
Requires=containerd.service
After=containerd.service
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/kind/images/import

[Install]
WantedBy=multi-user.target
"""

CONTAINERD = f"""version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE no container could start at the negative score that the kubelet asks for.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
"""

CNI_MANIFEST = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "pod-network", "namespace": "kube-system"},
    "data": {"where": "/etc/cni/net.d of the node image: a single node needs no agent"},
}
STORAGE_MANIFEST = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
}


def archive() -> Path:
    """Tar of the image's file tree, for `docker import` with CHANGES. Raises BuildError."""
    base = debian_root("kind-node", PACKAGES)
    binaries = {"kube": programs.kube(), "kubeadm": programs.kubeadm()}
    archives = _image_archives()

    def build(directory: Path) -> None:
        tree = directory / "tree"
        run_step(["cp", "--archive", base, tree])
        _lay_kind_files(tree)
        _lay_own_files(tree)
        for name, binary in binaries.items():
            shutil.copy2(binary, tree / "usr/bin" / name)
        for name in ("kubelet", "kubectl"):
            (tree / "usr/bin" / name).symlink_to("kube")
        for name, image in archives.items():
            shutil.copyfile(image, tree / "kind/images" / f"{name}.tar")
        flags = ["--sort=name", "--mtime=@0", "--numeric-owner", "--one-file-system"]
        run_step(["tar", *flags, "--directory", tree, "--create", "--file", directory / "node.tar", "."])
        remove_tree(tree)

    network = json.dumps(node.pod_network(masquerade=True))
    key: list[str | bytes] = [Path(__file__).read_bytes(), network, programs.KIND, base.name, platform.machine()]
    key += [str(binary) for binary in binaries.values()] + [str(image) for image in archives.values()]
    return cached("kind-node", key=key, build=build, label="kind's node image", estimate_s=15) / "node.tar"


def _image_archives() -> dict[str, Path]:
    """What the node's containerd gets at its start: Kubernetes and etcd in one image, CoreDNS, pause."""
    return {"kube": _kubernetes_image(), "coredns": _coredns_image(), "pause": images.pause()}


def names() -> list[str]:
    """Full names under which kubeadm asks for the Kubernetes image; the first is the one it is imported by."""
    ours = [f"{REGISTRY}/{name}:v{programs.KUBERNETES}" for name in programs.KUBE_NAMES if name.startswith("kube-")]
    return [*ours, f"{REGISTRY}/etcd:{ETCD_TAG}"]


def _kubernetes_image() -> Path:
    links = ["kube", *programs.KUBE_NAMES]

    def link(directory: Path) -> None:
        for name in programs.KUBE_NAMES:
            (directory / "usr/local/bin").mkdir(parents=True, exist_ok=True)
            (directory / "usr/local/bin" / name).symlink_to("kube")
        (directory / "usr/sbin").mkdir(parents=True)
        for name in PROXY_TOOLS:
            (directory / "usr/sbin" / name).symlink_to("xtables-nft-multi")

    shims = cached("kube-image-links", key=[*links, *PROXY_TOOLS], build=link, label="links", estimate_s=1)
    name, tag = names()[0].rsplit(":", 1)
    # kube-proxy calls iptables.
    layers: Sequence[images.Layer] = [
        {"/": debian_root("iptables", ["iptables"])},
        {"/": shims, "/usr/local/bin/kube": programs.kube()},
    ]
    return build_image(name, tag=tag, layers=layers, entrypoint=[], user="0:0")


def _coredns_image() -> Path:
    name = f"{REGISTRY}/coredns/coredns"
    layers = [{"/coredns": programs.coredns()}]
    return build_image(name, tag=COREDNS_TAG, layers=layers, entrypoint=["/coredns"], user="0:0")


def _import_script() -> str:
    first, *others = names()
    return f"""#!/bin/sh
set -eu
for archive in /kind/images/*.tar; do
  ctr --namespace k8s.io images import "$archive"
done
ctr --namespace k8s.io images tag --force {first} {" ".join(others)}
"""


def _lay_kind_files(tree: Path) -> None:
    """The files of kind's base image, with the modes that its Dockerfile gives them."""
    source = go_module_dir("sigs.k8s.io/kind", f"v{programs.KIND}") / "images/base/files"
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        target = tree / inside
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        shutil.copyfile(path, target)
        target.chmod(0o755 if inside.parts[:2] in (("usr", "local"), ("kind", "bin")) else 0o644)


def _lay_own_files(tree: Path) -> None:
    units, system = tree / "etc/systemd/system", tree / "usr/lib/systemd/system"
    for pattern in UNWANTED:
        for path in system.glob(pattern):
            path.unlink()
    for name in MASKED:
        (units / f"systemd-{name}.service").symlink_to("/dev/null")
    wants = units / "multi-user.target.wants"
    wants.mkdir()
    for name in ("containerd", "kubelet", "undo-mount-hacks", "kubernetes-images"):
        (wants / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")
    (tree / "usr/sbin/init").symlink_to("/usr/lib/systemd/systemd")
    for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
        (tree / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
    # What Debian's alternatives would have linked.
    _link(tree / "usr/bin/awk", "mawk")
    _link(tree / "usr/bin/which", "which.debianutils")
    _link(tree / "usr/bin/sh", "dash")
    for directory in ("kind/images", "kind/manifests", "etc/cni/net.d", "etc/kubernetes/manifests", "var/log"):
        (tree / directory).mkdir(parents=True, exist_ok=True)
    network = node.pod_network(masquerade=True)
    texts = {
        "etc/containerd/config.toml": CONTAINERD,
        "etc/cni/net.d/10-pods.conflist": json.dumps(network, indent=1),
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/systemd/journald.conf": "[Journal]\nReadKMsg=no\n",
        "etc/systemd/system/kubernetes-images.service": IMPORT_UNIT,
        "kind/version": f"v{programs.KUBERNETES}",
        "kind/manifests/default-cni.yaml": yaml.safe_dump(CNI_MANIFEST),
        "kind/manifests/default-storage.yaml": yaml.safe_dump(STORAGE_MANIFEST),
    }
    scripts = {
        "usr/local/bin/guarded": GUARDED,
        "usr/local/sbin/update-alternatives": ALTERNATIVES,
        "kind/images/import": _import_script(),
    }
    for name, text in {**texts, **scripts}.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name in scripts else 0o644)


def _link(path: Path, target: str) -> None:
    if not path.exists() and not path.is_symlink():
        path.symlink_to(target)
