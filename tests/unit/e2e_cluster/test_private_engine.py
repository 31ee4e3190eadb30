"""The private container engine: its runtime, its node image's names, Prometheus as a pod."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e.cluster import monitoring, node_image, programs, prometheus
from e2e.cluster.layout import KIND_PREFIX, Layout, known_clusters
from e2e.cluster.runtime import described, has_capability, without
from e2e.cluster.scrape import kubernetes_config


def status(bounding: str) -> str:
    return f"Name:\tcat\nCapEff:\t{bounding}\nCapBnd:\t{bounding}\n"


def test_a_machine_without_the_capability_is_told_from_one_that_has_it() -> None:
    assert has_capability(status("000001ffffffffff"))
    assert not has_capability(status("000001fffeffffff"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--root /r --log /l create --bundle /b/1 --pid-file /b/1/pid 1", "/b/1/config.json"),
        ("run -b /b/1 1", "/b/1/config.json"),
        ("create 1", "config.json"),
        ("--root /r exec --process /tmp/p.json --detach 1", "/tmp/p.json"),
        ("exec 1 ls", None),
        ("--root /r start 1", None),
        ("--root /r kill --all 1 9", None),
    ],
)
def test_the_file_that_describes_the_new_process(line: str, expected: str | None) -> None:
    assert described(line.split()) == (Path(expected) if expected else None)


def test_the_capability_is_no_longer_asked_for_and_nothing_else_changes() -> None:
    asked = {
        "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
        "effective": ["CAP_SYS_RESOURCE"],
        "permitted": ["CAP_KILL"],
    }
    left = {"bounding": ["CAP_CHOWN"], "effective": [], "permitted": ["CAP_KILL"]}
    process = {"args": ["init"], "capabilities": asked}
    bundle = {"hostname": "node", "process": process}
    assert without(json.loads(json.dumps(bundle))) == {
        "hostname": "node",
        "process": {"args": ["init"], "capabilities": left},
    }
    assert without(json.loads(json.dumps(process))) == {"args": ["init"], "capabilities": left}
    assert without({"process": {"args": ["init"]}}) == {"process": {"args": ["init"]}}


def test_the_kubernetes_image_has_every_name_that_kubeadm_asks_for() -> None:
    version = f"v{programs.KUBERNETES}"
    wanted = {
        f"registry.k8s.io/kube-{part}:{version}" for part in ("apiserver", "controller-manager", "scheduler", "proxy")
    }
    assert wanted < set(node_image.names())
    assert f"registry.k8s.io/etcd:{node_image.ETCD_TAG}" in node_image.names()


def test_the_upstream_image_is_pinned_and_of_the_same_minor_version() -> None:
    name, _, digest = node_image.UPSTREAM.partition("@sha256:")
    assert name.startswith(f"kindest/node:v{programs.KUBERNETES.rpartition('.')[0]}.")
    assert len(digest) == 64


def test_one_name_may_be_up_with_either_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))
    embedded, kind = Layout("demo"), Layout("demo", KIND_PREFIX)
    embedded.make()
    kind.make()
    assert embedded.path != kind.path
    assert set(known_clusters()) == {embedded, kind}
    with embedded.locked(), kind.locked_if_free() as free:
        assert free


def test_prometheus_in_a_pod_scrapes_as_the_one_on_the_node_does() -> None:
    beside, inside = kubernetes_config(Path("/kubeconfig")), kubernetes_config(None)
    assert inside == beside.replace("    kubeconfig_file: /kubeconfig\n", "")
    assert "kubeconfig" not in inside


def test_prometheus_in_a_pod_runs_with_the_same_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "binary", lambda: Path("/prometheus"))
    objects = {thing["kind"]: thing for thing in monitoring.manifests(scrape_interval="2s")}
    config = yaml.safe_load(objects["ConfigMap"]["data"]["prometheus.yml"])
    assert config["global"]["scrape_interval"] == "2s"
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "--scrape.discovery-reload-interval=500ms" in container["args"]
    # It must not scrape itself: then every scenario would see one more `up`.
    assert {port["name"] for port in container["ports"]} & {"http", "metrics"} == set()
    assert objects["ClusterRole"]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ]
