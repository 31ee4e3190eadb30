"""From a tier to a plan: which programs it needs, in which order, with which files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import gateway, helm, images, node, programs, prometheus, scrape
from e2e.cluster.control_plane import Address, ControlPlane, make_control_plane, write_kubeconfig
from e2e.cluster.layout import Layout
from e2e.cluster.plan import MACHINE_PATH, Border, Component, Plan, Probe
from e2e.cluster.processes import free_ports
from e2e.cluster.provider import Tier
from e2e.cluster.sandbox import NODE_IP

API_PORT = 6443
PROMETHEUS_PORT = 9090
ADDRESS = Address(NODE_IP, api_port=API_PORT, etcd_port=2379, etcd_peer_port=2380)
FAKE_NODES = 10


def prepare(tier: Tier) -> None:
    """Build or fetch everything the tier needs, before anything is started. Raises BuildError."""
    programs.kubernetes()
    if tier == "fake":
        programs.kwok()
        programs.kwok_stages()
    if tier == "full":
        programs.node_tree()
        programs.coredns()
        prometheus.binary()
        helm.binary()
        node_images()


def node_images() -> list[Path]:
    """Archives every real node starts with; the pause image first."""
    return [images.pause(), *gateway.images()]


def write_plan(layout: Layout, tier: Tier, border: Border, *, scrape_interval: str) -> None:
    """Write all configuration of a cluster, and the supervisor's plan, into its run directory."""
    plane = make_control_plane(programs.kubernetes(), layout.control_plane, address=ADDRESS, audit=True, node=node.NODE)
    door = free_ports(1)[0]
    layout.ask_door(door, f"{NODE_IP}:{API_PORT}")
    admin = plane.pki["admin"]
    write_kubeconfig(layout.host_kubeconfig, f"https://127.0.0.1:{door}", ca=plane.pki["ca"].cert, client=admin)
    components = [*_control_plane(plane), relay(layout, border, Probe("path", str(layout.doors / f"{door}.open")))]
    if tier != "apiserver":
        components += _controllers(plane)
    if tier == "fake":
        components += _fake_nodes(layout, plane)
    if tier == "full":
        components += [*_real_node(layout, plane, border.cgroup), *_dns(layout, plane)]
        components += _metrics(layout, plane, scrape_interval)
    plan = Plan(
        run_dir=str(layout.path),
        node_tree=str(programs.node_tree()) if tier == "full" else None,
        hostname=node.NODE,
        path=f"{plane.programs}:{MACHINE_PATH}",
        components=components,
        host_network_fd=border.host_network_fd,
        owner_fd=border.owner_fd,
    )
    plan.check()
    plan.write(layout.plan)


def _control_plane(plane: ControlPlane) -> list[Component]:
    etcd = Probe("url", f"http://127.0.0.1:{ADDRESS.etcd_port}/readyz")
    return [
        Component("etcd", plane.etcd(), probe=etcd),
        Component(
            "kube-apiserver",
            plane.apiserver(plane.node_flags()),
            after=["etcd"],
            probe=_api_probe(plane, "url", "/readyz"),
        ),
    ]


def _controllers(plane: ControlPlane) -> list[Component]:
    return [
        Component("kube-controller-manager", plane.controller_manager(), after=["kube-apiserver"]),
        Component("kube-scheduler", plane.scheduler(), after=["kube-apiserver"]),
    ]


def relay(layout: Layout, border: Border, probe: Probe) -> Component:
    """The opener of doors to the machine's loopback; `probe` says when it counts as ready."""
    argv = [sys.executable, "-m", "e2e.cluster.relay", str(border.host_network_fd), str(layout.doors)]
    return Component("relay", argv, probe=probe)


def _fake_nodes(layout: Layout, plane: ControlPlane) -> list[Component]:
    manifest = layout.node / "fake-nodes.json"
    names = [f"fake-{number}" for number in range(FAKE_NODES)]
    items = [node.fake_node(name) for name in names]
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kwok = [
        str(programs.kwok()),
        f"--kubeconfig={plane.kubeconfig}",
        *(f"--config={stage}" for stage in programs.kwok_stages()),
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--cidr=10.244.0.0/16",
        f"--node-ip={NODE_IP}",
    ]
    return [
        _apply("fake-nodes", plane, manifest, after=["kube-apiserver"]),
        Component(
            "kwok",
            kwok,
            after=["fake-nodes"],
            probe=_api_probe(plane, "node", f"/api/v1/nodes/{names[-1]}"),
        ),
    ]


def _real_node(layout: Layout, plane: ControlPlane, cgroup: str) -> list[Component]:
    directory = layout.node
    containerd = node.write_containerd(directory, pause_image=images.PAUSE)
    kubelet = node.write_kubelet(directory, plane, cgroup_root=cgroup)
    proxy = node.write_kube_proxy(directory, plane)
    imports = [
        Component(
            f"image-{number}",
            ["ctr", "--namespace", "k8s.io", "images", "import", str(archive)],
            after=["containerd"],
            probe=Probe("exit"),
        )
        for number, archive in enumerate(node_images())
    ]
    return [
        Component(
            "containerd",
            ["containerd", "--config", str(containerd)],
            probe=Probe("path", node.CONTAINERD_SOCKET),
        ),
        *imports,
        Component(
            "kubelet",
            node.kubelet_argv(directory, plane, kubelet),
            after=["kube-apiserver", "containerd"],
            probe=_api_probe(plane, "node", f"/api/v1/nodes/{node.NODE}"),
        ),
        Component(
            "kube-proxy",
            [str(plane.programs / "kube-proxy"), f"--config={proxy}"],
            after=["kube-apiserver"],
            probe=Probe("url", "http://127.0.0.1:10256/healthz"),
        ),
    ]


def _dns(layout: Layout, plane: ControlPlane) -> list[Component]:
    argv = [str(programs.coredns()), "-conf", str(node.write_dns(layout.node, plane))]
    probe = Probe("url", f"http://{NODE_IP}:{node.DNS_READY_PORT}/ready")
    return [Component("coredns", argv, after=["kube-apiserver"], probe=probe)]


def _metrics(layout: Layout, plane: ControlPlane, scrape_interval: str) -> list[Component]:
    config = layout.node / "prometheus.yml"
    config.write_text(scrape.kubernetes_config(plane.kubeconfig, scrape_interval=scrape_interval))
    listen = f"{NODE_IP}:{PROMETHEUS_PORT}"
    argv = prometheus.command(config=config, data=layout.node / "prometheus", listen=listen)
    return [Component("prometheus", argv, after=["kube-apiserver"], probe=Probe("url", f"http://{listen}/-/ready"))]


def _apply(name: str, plane: ControlPlane, manifest: Path, *, after: Sequence[str]) -> Component:
    kubectl = [str(plane.programs / "kubectl"), f"--kubeconfig={plane.kubeconfig}"]
    argv = [*kubectl, "apply", "--server-side", "-f", str(manifest)]
    return Component(name, argv, after=after, probe=Probe("exit"))


def _api_probe(plane: ControlPlane, kind: str, path: str) -> Probe:
    admin = plane.pki["admin"]
    url = plane.address.url + path
    ca = str(plane.pki["ca"].cert)
    return Probe("node" if kind == "node" else "url", url, ca=ca, cert=str(admin.cert), key=str(admin.key))
