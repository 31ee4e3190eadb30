"""Configuration of what runs on the one real node: containerd, kubelet, kube-proxy, CNI and cluster DNS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.sandbox import NODE_IP

NODE = "node-0"
POD_RANGE = "10.244.0.0/24"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
DNS_READY_PORT = 8181


def write_containerd(directory: Path, *, pause_image: str) -> Path:
    """containerd's configuration with its CNI network; returns the configuration file."""
    networks = directory / "cni"
    networks.mkdir(parents=True)
    (networks / "10-pods.conflist").write_text(json.dumps(pod_network(), indent=1))
    config = directory / "containerd.toml"
    config.write_text(
        f"""version = 2
root = "{directory / "data"}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE no container could start at the negative score that kubelet asks for.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""
    )
    return config


def pod_network(*, masquerade: bool = False) -> dict[str, Any]:
    """CNI configuration of the one node's pods; `masquerade`: what they send elsewhere has the node's address."""
    # Routed, not bridged: a reply from a pod on the same bridge would pass by the Service address translation on
    # kernels that don't filter bridged packets.
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": masquerade,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def write_kubelet(directory: Path, plane: ControlPlane, *, cgroup_root: str) -> Path:
    """kubelet's configuration file."""
    resolv = directory / "resolv.conf"
    resolv.write_text(f"nameserver {NODE_IP}\n")
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.pki["ca"].cert)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(plane.pki["kubelet-serving"].cert),
        "tlsPrivateKeyFile": str(plane.pki["kubelet-serving"].key),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_root}",
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolv),
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxPods": 250,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "eventRecordQPS": 0,
        "serializeImagePulls": False,
        # The machine's disk is not ours to clean, nor a reason to evict.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "nodeStatusUpdateFrequency": "5s",
        "volumePluginDir": str(directory / "plugins"),
        "podLogsDir": str(directory / "pod-logs"),
    }
    path = directory / "kubelet.json"
    path.write_text(json.dumps(config, indent=1))
    return path


def kubelet_argv(directory: Path, plane: ControlPlane, config: Path) -> list[str]:
    """Command line of the kubelet."""
    return [
        str(plane.programs / "kubelet"),
        f"--config={config}",
        f"--kubeconfig={plane.kubeconfig_of('kubelet')}",
        f"--root-dir={directory / 'root'}",
        f"--cert-dir={directory / 'certs'}",
        f"--node-ip={NODE_IP}",
        f"--hostname-override={NODE}",
    ]


def write_kube_proxy(directory: Path, plane: ControlPlane) -> Path:
    """kube-proxy's configuration file; it changes no connection tracking limits of the machine."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(plane.kubeconfig_of("proxy")), "qps": 500, "burst": 1000},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "nodePortAddresses": ["primary"],
        "oomScoreAdj": 0,
        "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    path = directory / "kube-proxy.json"
    path.write_text(json.dumps(config, indent=1))
    return path


def write_dns(directory: Path, plane: ControlPlane) -> Path:
    """CoreDNS's configuration file: cluster names only, everything else is refused at once."""
    path = directory / "Corefile"
    path.write_text(
        f"""cluster.local:53 in-addr.arpa:53 {{
    bind {NODE_IP}
    ready {NODE_IP}:{DNS_READY_PORT}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {plane.kubeconfig}
        ttl 1
    }}
}}
"""
    )
    return path


def fake_node(name: str) -> dict[str, Any]:
    """A Node for KWOK to play; only pods that tolerate `kwok.x-k8s.io/node` land there beside a real node."""
    capacity = {"cpu": "1000", "memory": "1Ti", "pods": "1000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"type": "kwok", "kubernetes.io/hostname": name},
        },
        "status": {"capacity": capacity, "allocatable": capacity},
    }
