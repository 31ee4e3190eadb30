"""The chart, rendered by helm and installed on a real API server: rights, admission, what stays when it goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.chart import CHART, IMAGE, Refused, rendered, run
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

HOME = "modelrollout"
BASE = ("--set", f"image.repository={IMAGE}", "--set", "namespaces={serving}")
WIDE = ("--set", f"image.repository={IMAGE}", "--set", "scope=cluster")
NGINX = ("--set", "routers.ingressNginx=true")
ROUTERS = (*NGINX, "--set", "routers.istio=true,routers.traefik=true,routers.replicas=true")
EVERYTHING = ("--set", "networkPolicy.enabled=true,metrics.podMonitor=true,metrics.rules=true,metrics.dashboards=true")
USER = f"system:serviceaccount:{HOME}:modelrollout"


def only(objects: list[dict[str, Any]], kind: str, **metadata: str) -> dict[str, Any]:
    found = [o for o in objects if o["kind"] == kind and metadata.items() <= o["metadata"].items()]
    assert len(found) == 1, [o["metadata"]["name"] for o in objects if o["kind"] == kind]
    return found[0]


def rights(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


# --- what helm renders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--set", f"image.repository={IMAGE}"), "namespaces is empty"),
        ((*WIDE, "--set", "namespaces={serving}"), "or leave scope away"),
        (("--set", "namespaces={serving}"), "image.repository is empty"),
        ((*BASE, "--set", "replica=3"), "'replica' not allowed"),
        ((*BASE, "--set", "operator.workers=1"), "operator/workers"),
        ((*BASE, "--set", "serviceAccount.create=false"), "serviceAccount.name must be given"),
    ],
)
def test_values_that_can_not_work_are_refused_with_what_to_do(flags: tuple[str, ...], told: str) -> None:
    with pytest.raises(Refused, match=told):
        rendered(*flags)


def test_rights_are_those_of_the_documentation() -> None:
    manifest = list(yaml.safe_load_all((ROOT / "examples" / "rbac.yaml").read_text()))
    documented = rights(only(manifest, "ClusterRole"))
    wide = only(rendered(*WIDE, *ROUTERS), "ClusterRole", name=f"{HOME}.modelrollout")
    assert rights(wide) == documented
    on_demand = {"networking.k8s.io", "networking.istio.io", "traefik.io"}
    without = only(rendered(*WIDE), "ClusterRole", name=f"{HOME}.modelrollout")
    assert {(group, name) for group, name, _ in documented - rights(without)} == {
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "ingressclasses"),
        ("networking.istio.io", "virtualservices"),
        ("traefik.io", "traefikservices"),
        ("apps", "deployments/scale"),
        ("autoscaling", "horizontalpodautoscalers"),
    }
    assert not {group for group, _, _ in rights(without)} & on_demand
    narrow = rendered(*BASE, *ROUTERS)
    everywhere = rights(only(narrow, "ClusterRole", name=f"{HOME}.modelrollout"))
    kinds = ("metricsources", "sliprofiles")
    sources = {("modelrollout.dev", kind, verb) for kind in kinds for verb in ("get", "list", "watch")}
    sources |= {("modelrollout.dev", "sliprofiles/status", "patch")}
    assert everywhere == sources | {("networking.k8s.io", "ingressclasses", "get")}
    assert everywhere | rights(only(narrow, "Role", namespace="serving")) == documented
    assert "secrets" not in {resource for _, resource, _ in rights(only(narrow, "Role", namespace=HOME))}
    named = only(rendered(*BASE, "--set", "secrets={prometheus-token}"), "Role", namespace=HOME)
    secret = next(rule for rule in named["rules"] if rule["resources"] == ["secrets"])
    assert (secret["resourceNames"], secret["verbs"]) == (["prometheus-token"], ["get"])


def test_values_of_a_release_that_knew_no_routers_are_enough() -> None:
    """`helm upgrade --reuse-values` brings no default of a newer chart."""
    assert rendered(*BASE, "--set-json", "routers=null")


def test_crds_are_those_of_the_repository_and_are_kept() -> None:
    made = {o["metadata"]["name"]: o for o in rendered(*BASE) if o["kind"] == "CustomResourceDefinition"}
    for path in (ROOT / "crds").glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        mine = made.pop(crd["metadata"]["name"])
        assert mine["spec"] == crd["spec"]
        assert mine["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not made
    off = rendered(*BASE, "--set", "crds.enabled=false")
    assert not [o for o in off if o["kind"] == "CustomResourceDefinition"]


def test_what_is_set_reaches_the_process() -> None:
    env = environment("--set", "operator.workers=8,operator.journal=false,namespaces={a,b}", *BASE[:2])
    assert (env["MODELROLLOUT_WORKERS"], env["MODELROLLOUT_NAMESPACE"]) == ("8", "a,b")
    assert "MODELROLLOUT_JOURNAL" not in env
    assert "MODELROLLOUT_NAMESPACE" not in environment(*WIDE)


def test_bug_the_operator_was_never_told_which_address_is_its_own() -> None:
    assert environment(*BASE)["POD_IPS"] == "status.podIPs"


def environment(*flags: str) -> dict[str, str]:
    """Values of variables; the path in the pod for those that come from there."""
    container = only(rendered(*flags), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return {
        entry["name"]: entry["value"] if "value" in entry else entry["valueFrom"]["fieldRef"]["fieldPath"]
        for entry in container["env"]
    }


def test_only_the_operators_pods_mount_a_token_and_it_expires() -> None:
    objects = rendered(*BASE, *EVERYTHING)
    pods = [only(objects, "Deployment")["spec"]["template"]["spec"], only(objects, "Pod")["spec"]]
    assert [pod["automountServiceAccountToken"] for pod in pods] == [False, False]
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    sources = [source for volume in pods[0]["volumes"] for source in volume.get("projected", {}).get("sources", ())]
    tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    assert [token["expirationSeconds"] for token in tokens] == [3600]
    assert "volumes" not in pods[1]


def test_the_service_does_not_lead_to_the_test_pod() -> None:
    objects = rendered(*BASE)
    selector = only(objects, "Service")["spec"]["selector"]
    assert selector.items() <= only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert not selector.items() <= only(objects, "Pod")["metadata"]["labels"].items()


def test_names_stay_within_bounds() -> None:
    release = "r" * 53
    objects = rendered(*BASE, release=release, namespace="n" * 63)
    assert max(len(o["metadata"]["name"]) for o in objects if o["kind"] != "CustomResourceDefinition") <= 120
    for name in ("Deployment", "Service", "Pod"):
        assert len(only(objects, name)["metadata"]["name"]) <= 63
    values = [v for o in objects for v in o["metadata"].get("labels", {}).values()]
    assert max(len(value) for value in values) <= 63


def test_the_values_of_a_shard_that_are_shown_make_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "run-the-operator.md").read_text()
    shown = page.partition("## More than one shard")[2].partition("```yaml\n")[2].partition("```")[0]
    values = tmp_path / "values.yaml"
    values.write_text(shown)
    flags = (*BASE, "--values", str(values))
    assert environment(*flags)["MODELROLLOUT_SELECTOR"] == yaml.safe_load(shown)["operator"]["selector"]
    assert not [o for o in rendered(*flags) if o["kind"] == "CustomResourceDefinition"]
    assert "MODELROLLOUT_SELECTOR" not in environment(*BASE)


# --- on a real API server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[gateway_api_crds()]) as running:
        for namespace in (HOME, "serving", "other"):
            running.kubectl("create", "namespace", namespace)
        running.kubectl("label", "namespace", HOME, "pod-security.kubernetes.io/enforce=restricted")
        yield running


@pytest.fixture(scope="module")
def installed(server: ApiServer) -> ApiServer:
    run_helm(server, "install", "modelrollout", str(CHART), *BASE, "--set", "networkPolicy.enabled=true")
    crds = [
        f"crd/{kind}.modelrollout.dev" for kind in ("modelrollouts", "metricsources", "rolloutactions", "sliprofiles")
    ]
    server.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)
    return server


def run_helm(server: ApiServer, *argv: str) -> str:
    return run("--kubeconfig", str(server.kubeconfig), "--namespace", HOME, *argv)


def allowed(server: ApiServer, *question: str) -> bool:
    done = server.kubectl("auth", "can-i", *question, "--as", USER, check=False)
    return done.stdout.strip() == "yes"


def test_an_account_can_do_what_it_must_and_nothing_else(installed: ApiServer) -> None:
    assert allowed(installed, "patch", "httproutes.gateway.networking.k8s.io", "-n", "serving")
    assert allowed(installed, "get", "namespaces/serving", "-n", "serving")
    assert allowed(installed, "update", "leases.coordination.k8s.io/modelrollout", "-n", HOME)
    assert allowed(installed, "create", "leases.coordination.k8s.io", "-n", HOME)
    for refused in (
        ("patch", "httproutes.gateway.networking.k8s.io", "-n", "other"),
        ("get", "secrets", "-n", HOME),
        ("list", "secrets", "-n", "serving"),
        ("create", "pods", "-n", "serving"),
        ("patch", "deployments.apps", "-n", "serving"),
        ("update", "leases.coordination.k8s.io/modelrollout", "-n", "serving"),
        ("update", "leases.coordination.k8s.io/of-another", "-n", HOME),
        ("create", "rolloutactions.modelrollout.dev", "-n", "serving"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    ):
        assert not allowed(installed, *refused), refused
    told = installed.kubectl("auth", "can-i", "--list", "-n", "serving", "--as", USER).stdout
    assert len(told.splitlines()) < 40
    assert not [line for line in told.splitlines() if line.split()[-1:] == ["[*]"]]


@pytest.mark.parametrize("flags", [BASE, (*WIDE, *EVERYTHING)])
def test_the_restricted_profile_takes_every_pod(installed: ApiServer, flags: tuple[str, ...]) -> None:
    objects = rendered(*flags)
    pods = [only(objects, "Pod")]
    template = only(objects, "Deployment")["spec"]["template"]
    pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": template["spec"]})
    for pod in pods:
        # It comes from a controller that does not run here.
        installed.kubectl("create", "serviceaccount", "default", "-n", HOME, check=False)
        body = json.dumps(pod | {"metadata": {"name": "pod", "namespace": HOME}})
        installed.kubectl("create", "--dry-run=server", "-f", "-", input_text=body)


ROUTE: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "shop", "namespace": "serving"},
    "spec": {
        "parentRefs": [{"name": "public"}],
        "hostnames": ["shop.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "v1", "port": 80, "weight": 100}, {"name": "v2", "port": 80, "weight": 0}],
            }
        ],
    },
}

OWNER = {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "name": "fraud", "uid": "u"}
RELEASED = {"app.kubernetes.io/managed-by": "modelrollout", "modelrollout.dev/rollout": "fraud"}
FORBIDDEN: dict[str, list[dict[str, Any]]] = {
    "hostnames": [{"op": "replace", "path": "/spec/hostnames/0", "value": "bank.example.com"}],
    "parents": [{"op": "replace", "path": "/spec/parentRefs/0/name", "value": "internal"}],
    "backend": [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/name", "value": "evil"}],
    "port": [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/port", "value": 22}],
    "matches": [{"op": "replace", "path": "/spec/rules/0/matches/0/path/value", "value": "/admin"}],
    "owner": [{"op": "add", "path": "/metadata/ownerReferences", "value": [OWNER]}],
    "labels": [{"op": "add", "path": "/metadata/labels", "value": RELEASED}],
    "annotations": [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}],
    "finalizers": [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/mine"]}],
    "timeouts": [{"op": "add", "path": "/spec/rules/0/timeouts", "value": {"request": "1s"}}],
    "another-rule": [{"op": "add", "path": "/spec/rules/-", "value": {"backendRefs": [{"name": "v2", "port": 80}]}}],
    "mirror": [
        {
            "op": "add",
            "path": "/spec/rules/0/filters",
            "value": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "evil", "port": 80}}}],
        }
    ],
}
WEIGHTS = [
    {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 60},
    {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 40},
]


@pytest.fixture(scope="module")
def route(installed: ApiServer) -> ApiServer:
    installed.kubectl("apply", "-f", "-", input_text=json.dumps(ROUTE))
    deadline = 100
    # A new policy is compiled a moment after it was written.
    while deadline and patch(installed, FORBIDDEN["hostnames"], dry_run=True).returncode == 0:
        deadline -= 1
    assert deadline, "the policy does not hold"
    return installed


def patch(
    server: ApiServer, operations: list[dict[str, Any]], *, dry_run: bool, name: str = "shop"
) -> subprocess.CompletedProcess[str]:
    more = ("--dry-run=server",) if dry_run else ()
    argv = ("patch", "httproute", name, "-n", "serving", "--type=json", "-p", json.dumps(operations), "--as", USER)
    return server.kubectl(*argv, *more, check=False)


def test_the_operator_may_move_weights_of_a_route_that_others_made(route: ApiServer) -> None:
    done = patch(route, WEIGHTS, dry_run=False)
    assert done.returncode == 0, done.stderr
    stored = json.loads(route.kubectl("get", "httproute", "shop", "-n", "serving", "-o", "json").stdout)
    assert [b["weight"] for b in stored["spec"]["rules"][0]["backendRefs"]] == [60, 40]


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_the_operators_token_can_not_change_anything_else_of_it(route: ApiServer, what: str) -> None:
    done = patch(route, FORBIDDEN[what], dry_run=True)
    assert done.returncode != 0
    assert "modelrollout may" in done.stderr
    mine = route.kubectl(
        *("patch", "httproute", "shop", "-n", "serving", "--type=json", "--dry-run=server"),
        *("-p", json.dumps(FORBIDDEN[what])),
    )
    assert "patched" in mine.stdout


def test_bug_a_stolen_token_took_a_route_over_in_two_patches_by_naming_a_rollout_as_its_owner(route: ApiServer) -> None:
    for mark in ("owner", "labels"):
        for operations in (FORBIDDEN[mark], FORBIDDEN["hostnames"]):
            assert "modelrollout may" in patch(route, operations, dry_run=False).stderr
    stored = json.loads(route.kubectl("get", "httproute", "shop", "-n", "serving", "-o", "json").stdout)
    assert stored["spec"]["hostnames"] == ["shop.example.com"]
    assert not {"ownerReferences", "labels"} & set(stored["metadata"])


def test_bug_a_route_that_a_gone_rollout_left_could_not_be_reshaped_by_the_next_one(route: ApiServer) -> None:
    left = ROUTE | {"metadata": {"name": "left", "namespace": "serving", "labels": RELEASED}}
    route.kubectl("apply", "-f", "-", input_text=json.dumps(left))
    operations = [*FORBIDDEN["owner"], *FORBIDDEN["hostnames"]]
    done = patch(route, operations, dry_run=False, name="left")
    assert done.returncode == 0, done.stderr


def test_an_upgrade_and_an_uninstall_leave_rollouts_and_routes_alone(route: ApiServer) -> None:
    smallest = (ROOT / "examples" / "smallest.yaml").read_text()
    route.kubectl(
        "apply", "-n", "serving", "-f", "-", input_text=smallest.replace("namespace: default", "namespace: serving")
    )
    run_helm(route, "upgrade", "modelrollout", str(CHART), *BASE, "--set", "replicas=1")
    deployment = json.loads(route.kubectl("get", "deployment", "modelrollout", "-n", HOME, "-o", "json").stdout)
    assert deployment["spec"]["replicas"] == 1
    before = route.kubectl("get", "httproute,modelrollout", "-A", "-o", "name").stdout
    run_helm(route, "uninstall", "modelrollout")
    assert route.kubectl("get", "httproute,modelrollout", "-A", "-o", "name").stdout == before
    left = route.kubectl("get", "deployment,role,serviceaccount,validatingadmissionpolicy", "-A", "-o", "name").stdout
    assert [line for line in left.splitlines() if "modelrollout" in line] == []
