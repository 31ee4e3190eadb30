"""Provider kind on the machine's own container engine: what the programs are asked, played by scripts that note it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.cluster import gateway, helm, kind, machine_engine, monitoring, node_image, programs
from e2e.cluster.engine import PrivateEngine
from e2e.cluster.kind import KindCluster, choose
from e2e.cluster.machine_engine import MachineEngine
from e2e.cluster.processes import ClusterError

NODE = "172.18.0.2"
PLAYED = f"""#!/bin/sh
first="$1"
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
  "kubectl get nodes"*) echo {NODE} ;;
  "kubectl get service"*) echo '{{"spec": {{"clusterIP": "10.96.0.7", "ports": [{{"port": 80}}]}}}}' ;;
  "kubectl port-forward"*) echo "Forwarding from 127.0.0.1:4242 -> 8080"; exec sleep 60 ;;
  "kind create"*) while [ "$1" != --kubeconfig ]; do shift; done; echo made > "$2"; cat > "$CALLS.config" ;;
  "kind get clusters") cat "$CALLS.clusters" 2>/dev/null || true ;;
esac
[ "$FAILS" != "$(basename "$0") $first" ]
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what was asked, one command a line; the programs are scripts."""
    tools, notes = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    for name in ("docker", "kind", "kubectl", "ip"):
        (tools / name).write_text(PLAYED)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(notes))
    monkeypatch.setenv("FAILS", "")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "kind_tools", lambda: tools)
    monkeypatch.setattr(helm, "binary", lambda: tools / "helm")
    monkeypatch.setattr(gateway, "images", lambda: [Path("/gateway.tar")])
    monkeypatch.setattr(monitoring, "image", lambda: Path("/prometheus.tar"))
    monkeypatch.setattr(monitoring, "manifest", lambda scrape_interval: "{}")
    monkeypatch.setattr(gateway, "install", lambda cluster: cluster.exec(["kubectl", "install", "gateway"]))
    monkeypatch.setattr(gateway, "wait_programmed", lambda cluster: cluster.exec(["kubectl", "wait", "gateway"]))
    monkeypatch.setattr(MachineEngine, "routed", True)
    return notes


def asked(calls: Path, *programs: str) -> list[str]:
    return [line for line in calls.read_text().splitlines() if line.startswith(programs)]


def test_it_is_used_where_it_answers_and_a_private_one_elsewhere() -> None:
    machine, private = MachineEngine("demo", "modelrollout-demo"), PrivateEngine("demo")
    assert choose(machine, private, answers=True) is machine
    assert choose(machine, private, answers=False) is private


def test_a_client_without_a_server_is_no_engine(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_engine.answers()
    assert KindCluster("demo").engine.node_image() == node_image.UPSTREAM
    monkeypatch.setenv("FAILS", "docker version")
    assert not machine_engine.answers()
    assert isinstance(KindCluster("demo").engine, PrivateEngine)


def test_without_a_client_there_is_no_engine(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not machine_engine.answers()


def test_up_makes_the_cluster_routes_to_it_and_what_runs_on_it(calls: Path) -> None:
    cluster = KindCluster("demo")
    cluster.up("full")
    (create,) = asked(calls, "kind create")
    assert f"--name modelrollout-demo --kubeconfig {cluster.kubeconfig} --image {node_image.UPSTREAM}" in create
    assert asked(calls, "ip route add") == [
        f"ip route add 10.244.0.0/16 via {NODE}",
        f"ip route add 10.96.0.0/16 via {NODE}",
    ]
    loads = [f"kind load image-archive /{name}.tar --name modelrollout-demo" for name in ("gateway", "prometheus")]
    assert sorted(asked(calls, "kind load")) == loads
    steps = [line.split()[1] for line in asked(calls, "kubectl")]
    assert steps == ["get", "apply", "install", "wait", "wait"]
    assert KindCluster("demo").status() == {
        "name": "demo",
        "tier": "full",
        "kubeconfig": str(cluster.kubeconfig),
        "engine": "docker",
    }


def test_up_again_finds_it_and_down_removes_cluster_routes_and_files(calls: Path) -> None:
    cluster = KindCluster("demo")
    cluster.up("full")
    Path(f"{calls}.clusters").write_text("modelrollout-demo\n")
    KindCluster("demo").up("full")
    assert len(asked(calls, "kind create")) == 1
    KindCluster("demo").down()
    assert asked(calls, "ip route del") == [
        f"ip route del 10.244.0.0/16 via {NODE}",
        f"ip route del 10.96.0.0/16 via {NODE}",
    ]
    assert asked(calls, "kind delete") == ["kind delete cluster --name modelrollout-demo"]
    assert not cluster.kubeconfig.parent.exists()
    KindCluster("demo").down()  # nothing to do, and no error
    assert len(asked(calls, "kind delete")) == 1


@pytest.mark.parametrize("failing", ["kind create", "kind load", "ip route"])
def test_an_up_that_fails_leaves_nothing(calls: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    monkeypatch.setenv("FAILS", failing)
    cluster = KindCluster("demo")
    with pytest.raises(ClusterError, match=f"`{failing}.* ended with code 1"):
        cluster.up("full")
    assert asked(calls, "kind delete") == ["kind delete cluster --name modelrollout-demo"]
    assert not cluster.kubeconfig.parent.exists()


def test_the_half_made_cluster_of_a_killed_up_is_made_anew(calls: Path) -> None:
    cluster = KindCluster("demo")
    Path(f"{calls}.clusters").write_text("modelrollout-demo\n")
    cluster.up("full")
    order = [line.split()[1] for line in asked(calls, "kind") if line.split()[1] in ("delete", "create")]
    assert order == ["delete", "create"]


def test_routes_of_another_cluster_are_not_taken_over(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ip = Path(os.environ["PATH"].split(":")[0]) / "ip"
    ip.write_text("#!/bin/sh\necho '10.244.0.0/16 via 172.18.0.9 dev br-1'\n")
    with pytest.raises(ClusterError, match=r"route to 10\.244\.0\.0/16 already \(.* via 172\.18\.0\.9 .* take it down"):
        KindCluster("demo").up("full")


def test_a_service_is_reached_by_its_address_where_there_are_routes_else_by_forwarding(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = KindCluster("demo")
    cluster.up("full")
    assert cluster.url("models/tumour") == "http://10.96.0.7:80"
    assert asked(calls, "kubectl port-forward") == []
    monkeypatch.setattr(MachineEngine, "routed", False)
    assert cluster.url("models/tumour", 9090) == "http://127.0.0.1:4242"
    assert asked(calls, "kubectl port-forward") == ["kubectl port-forward -n models service/tumour :9090"]
    cluster.down()


def test_without_root_the_machine_gets_no_routes(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MachineEngine, "routed", False)
    cluster = KindCluster("demo")
    cluster.up("full")
    cluster.down()
    assert asked(calls, "ip ") == []


def test_the_cluster_bears_what_a_machine_without_a_capability_and_with_old_cgroups_has(calls: Path) -> None:
    KindCluster("demo").up("full")
    told = Path(f"{calls}.config").read_text()
    for setting in ("failCgroupV1: false", "oomScoreAdj: 0", "apiServerAddress: 127.0.0.1"):
        assert setting in told
    assert kind.configuration()["nodes"] == [{"role": "control-plane"}]
