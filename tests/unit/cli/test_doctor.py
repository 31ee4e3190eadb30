"""`doctor`: what each state of a cluster is told as, what may not be read, and how it ends."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from modelrollout import __version__
from modelrollout.api.crd import KINDS, definition
from modelrollout.api.v1alpha1.traffic import Traffic
from modelrollout.cli import asking as asking_module
from modelrollout.cli import doctor_rollouts, doctor_server, installed
from modelrollout.cli.asking import Asking, bodies
from modelrollout.cli.complaints import Cause, Complaint
from modelrollout.cli.doctor import looked
from modelrollout.cli.doctor_operator import clock
from modelrollout.cli.doctor_operator import lease as leader
from modelrollout.cli.findings import Finding, State, as_object, as_text
from tests.layout.documents import ROOT
from tests.unit.cli.cluster_answers import FORBIDDEN, NOT_SERVED, Answer, Cluster, asking
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.scenes import scene
from tests.unit.cli.test_reads import run

NOW = 1_800_000_000.0
ROLLOUTS = "/apis/modelrollout.dev/v1alpha1/modelrollouts"
SOURCE = {"metadata": {"name": "default"}, "spec": {"scrapeInterval": "5s"}}
READS = 'modelrollout_metric_read_duration_seconds_count{result="ok",source="default"} 12.0\n'
TRACKED = {"argocd.argoproj.io/tracking-id": "ml_shop:gateway.networking.k8s.io/HTTPRoute:serving/fraud"}
ROUTE = {"metadata": {"name": "fraud", "annotations": TRACKED}}
SNIPPET = {"kind": "HTTPRoute", "jqPathExpressions": [".spec.rules[]?.backendRefs[]?.weight"]}
OPTIONS = {"syncOptions": ["RespectIgnoreDifferences=true"]}


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def logged(seconds: float) -> str:
    return f"I1122 Response Headers:\n\tDate: {format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)}\n"


def kinds(*names: str) -> dict[str, Any]:
    return {"kind": "APIResourceList", "resources": [{"name": name} for name in names]}


def lease(renewed: float, holder: str = "operator-1") -> list[Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": at(renewed)}
    return [{"metadata": {"namespace": "modelrollout", "name": "modelrollout"}, "spec": spec}]


def deployment(ready: int = 2, version: str = __version__, namespaces: str = "") -> dict[str, Any]:
    env = [{"name": "MODELROLLOUT_LEASE_NAME", "value": "modelrollout"}]
    env += [{"name": "MODELROLLOUT_NAMESPACE", "value": namespaces}] if namespaces else []
    pod = {"serviceAccountName": "modelrollout", "containers": [{"image": "example.com/mr:0.1.0", "env": env}]}
    template = {"metadata": {"labels": {"app.kubernetes.io/component": "operator"}}, "spec": pod}
    return {
        "metadata": {
            **{"namespace": "modelrollout", "name": "modelrollout", "generation": 1},
            "labels": {"app.kubernetes.io/version": version},
        },
        "spec": {"replicas": 2, "template": template},
        "status": {"replicas": 2, "readyReplicas": ready, "updatedReplicas": 2, "observedGeneration": 1},
    }


def rollout(of: str = "7-shared", /, **spec: Any) -> dict[str, Any]:
    obj = copy.deepcopy(scene(of)[0])
    obj["spec"] |= spec
    return obj


def healthy() -> Cluster:
    now = NOW
    crds = [definition(kind) for kind in KINDS]
    return Cluster(
        told={
            "--raw /version": logged(now),
            "--raw /apis/modelrollout.dev/v1alpha1": kinds(*doctor_server.RESOURCES),
            "customresourcedefinitions": crds,
            "--raw /apis/gateway.networking.k8s.io/v1": kinds("httproutes"),
            "--raw /apis/networking.k8s.io/v1": kinds("ingresses"),
            "--raw /apis/argoproj.io/v1alpha1": NOT_SERVED,
            "deployments.apps --all-namespaces": [deployment(), {"metadata": {"name": "dashboard"}}],
            "leases.coordination.k8s.io --namespace=modelrollout": lease(now - 1),
            "leases.coordination.k8s.io --all-namespaces": [],
            ROLLOUTS: {"items": [rollout()]},
            "get metricsources": [SOURCE],
            "get pods": [{"metadata": {"name": "operator-1"}}],
            "proxy/metrics": READS,
        }
    )


def found(cluster: Cluster, name: str | None = None, given: str | None = None) -> list[Finding]:
    return list(looked(asking(cluster), name, given, "modelrollout", sleep=lambda _: None, now=lambda: NOW))


def states(findings: list[Finding], check: str) -> list[State]:
    return [each.state for each in findings if each.check == check]


def test_a_healthy_cluster_has_nothing_but_ok() -> None:
    findings = found(healthy())
    assert [each for each in findings if each.state is not State.OK] == []
    assert {each.check for each in findings} == {
        *("clock", "crds", "crd fields", "your right to read", "your right to order", "operator", "version", "leader"),
        *("operator's rights", "seen", "finalizers", "router", "metric source", "prometheus", "scrape interval"),
    }


def told(part: str, answer: Answer) -> Callable[[Cluster], None]:
    def change(cluster: Cluster) -> None:
        cluster.told.pop(part, None)
        cluster.told[part] = answer

    return change


def refuses(*rights: tuple[str, str]) -> Callable[[Cluster], None]:
    return lambda cluster: cluster.refused.extend(rights)


def rollouts(*items: Mapping[str, Any]) -> Callable[[Cluster], None]:
    return told(ROLLOUTS, {"items": list(items)})


def deleted() -> dict[str, Any]:
    obj = rollout()
    obj["metadata"] |= {"deletionTimestamp": at(NOW - 3600), "finalizers": ["modelrollout.dev/route"]}
    return obj


def unreachable() -> dict[str, Any]:
    obj = rollout()
    for each in obj["status"]["conditions"]:
        if each["type"] == "MetricsFresh":
            each |= {"status": "False", "reason": "MetricsUnreachable", "message": "Prometheus: Timeout"}
    return obj


def older_crds() -> list[Any]:
    crds = [definition(kind) for kind in KINDS]
    schema = next(crd for crd in crds if crd["spec"]["names"]["kind"] == "ModelRollout")
    del schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["ramp"]
    return crds


def newer_crds() -> list[Any]:
    crds = [copy.deepcopy(definition(kind)) for kind in KINDS]
    properties = crds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["novel"] = {"type": "string"}
    return crds


SOURCES = "get metricsources"
OPERATORS = "deployments.apps --all-namespaces"
LEASES = "leases.coordination.k8s.io --namespace=modelrollout"
ADOPTS: dict[str, Any] = {"traffic": {"adoptRoute": {"name": "fraud"}}}
IDLE = rollout("promoted")
SICK: dict[str, tuple[Callable[[Cluster], None], str, State, str]] = {
    "no CRDs": (
        told("--raw /apis/modelrollout.dev/v1alpha1", NOT_SERVED),
        *("crds", State.ERROR, "modelrollouts.modelrollout.dev, metricsources.modelrollout.dev, rollout"),
    ),
    "older CRDs": (
        told("customresourcedefinitions", older_crds()),
        "crd fields",
        State.WARNING,
        "ModelRollout.spec.ramp",
    ),
    "newer CRDs": (told("customresourcedefinitions", newer_crds()), "crd fields", State.WARNING, ".spec.novel"),
    "CRDs that may not be read": (
        told("customresourcedefinitions", FORBIDDEN),
        *("crd fields", State.UNKNOWN, "can't be compared: forbidden"),
    ),
    "no right to read": (
        refuses(("list", "modelrollouts")),
        *("your right to read", State.ERROR, "refused: list modelrollouts.modelrollout.dev in serving"),
    ),
    "no right to order": (
        refuses(("create", "rolloutactions")),
        *("your right to order", State.WARNING, "refused: create rolloutactions.modelrollout.dev in serving"),
    ),
    "reviews that are refused": (told("self", FORBIDDEN), "your right to read", State.UNKNOWN, "can't be asked for"),
    "an operator without a right": (
        refuses(("patch", "httproutes"), ("patch", "modelrollouts/status")),
        *("operator's rights", State.ERROR, "modelrollout may not patch modelrollouts/status.modelrollout"),
    ),
    "no impersonation": (told("--as", FORBIDDEN), "operator's rights", State.UNKNOWN, "you may not impersonate it"),
    "no operator": (told(OPERATORS, []), "operator", State.WARNING, "none was installed by the chart"),
    "an operator that is not ready": (
        told(OPERATORS, [deployment(0)]),
        "operator",
        State.ERROR,
        "0 of 2 replicas ready",
    ),
    "half an operator": (told(OPERATORS, [deployment(1)]), "operator", State.WARNING, "1 of 2 replicas ready"),
    "another version": (
        told(OPERATORS, [deployment(version="0.7.3")]),
        *("version", State.WARNING, f"is 0.7.3, this client {__version__}"),
    ),
    "another namespace": (
        told(OPERATORS, [deployment(namespaces="shop,search")]),
        *("served", State.ERROR, "no operator serves namespace serving; served are search, shop"),
    ),
    "no Lease": (told(LEASES, []), "leader", State.ERROR, "there is no Lease modelrollout/modelrollout"),
    "a Lease that was let go": (told(LEASES, lease(NOW, "")), "leader", State.ERROR, "nobody holds"),
    "a stale Lease": (
        told(LEASES, lease(NOW - 600)),
        *("leader", State.ERROR, "has not been renewed by operator-1 for 10m: nobody leads"),
    ),
    "a Lease that may not be read": (told(LEASES, FORBIDDEN), "leader", State.UNKNOWN, "can't be read: forbidden"),
    "this machine's clock": (
        told("--raw /version", logged(NOW - 3600)),
        *("clock", State.WARNING, "this machine's clock is 60m from the API server's"),
    ),
    "no date": (told("--raw /version", "I1122 no headers"), "clock", State.UNKNOWN, "does not show"),
    "no Gateway API": (
        told("--raw /apis/gateway.networking.k8s.io/v1", NOT_SERVED),
        *("router", State.ERROR, "no httproutes of gateway.networking.k8s.io/v1, which serving/fraud use"),
    ),
    "a router of tomorrow": (
        rollouts(rollout(traffic={"teleport": {}, "settle": "5s"})),
        *("router", State.UNKNOWN, "teleport, of serving/fraud: this client does not know it"),
    ),
    "a deletion that hangs": (rollouts(deleted()), "finalizers", State.ERROR, "serving/fraud: being deleted for 60m"),
    "a rollout nobody looks at": (
        rollouts({**rollout(), "status": {"observedGeneration": -1}}),
        *("seen", State.ERROR, "serving/fraud: no operator has looked"),
    ),
    "rollouts that may not be read": (
        lambda cluster: cluster.told.update({ROLLOUTS: FORBIDDEN, "namespaces/serving/modelrollouts": FORBIDDEN}),
        *("rollouts", State.UNKNOWN, "they can't be read: forbidden"),
    ),
    "no source": (told(SOURCES, []), "metric source", State.ERROR, "default: there is none, but serving/fraud use it"),
    "sources that may not be read": (told(SOURCES, FORBIDDEN), "metric source", State.UNKNOWN, "can't be read"),
    "Prometheus is away": (rollouts(unreachable()), "prometheus", State.ERROR, "gets no answer: Prometheus: Timeout"),
    "reads that all fail": (
        lambda cluster: cluster.told.update({ROLLOUTS: {"items": []}, "proxy/metrics": READS.replace("ok", "Timeout")}),
        *("prometheus", State.ERROR, "never answered the operator since it started; most often Timeout"),
    ),
    "metrics that may not be read": (
        lambda cluster: cluster.told.update({ROLLOUTS: {"items": [IDLE]}, "get pods": FORBIDDEN}),
        *("prometheus", State.UNKNOWN, "no rollout is being judged with it, and the operator's own metrics can't be"),
    ),
    "a source nobody asked": (
        lambda cluster: cluster.told.update({ROLLOUTS: {"items": [IDLE]}, "proxy/metrics": "up 1\n"}),
        *("prometheus", State.UNKNOWN, "has not asked it since it started"),
    ),
    "slow scrapes": (
        told(SOURCES, [{**SOURCE, "spec": {"scrapeInterval": "30s"}}]),
        *("scrape interval", State.WARNING, "default is scraped every 30s, and serving/fraud look more often"),
    ),
    "a window of few samples": (
        lambda cluster: cluster.told.update(
            {
                SOURCES: [{**SOURCE, "spec": {"scrapeInterval": "30s"}}],
                ROLLOUTS: {"items": [rollout(analysis={"interval": "30s"})]},
            }
        ),
        *("scrape interval", State.WARNING, "the shortest burn window, 60s, has fewer than 4 samples"),
    ),
    "scrapes that nobody wrote down": (
        told(SOURCES, [{**SOURCE, "spec": {}}]),
        *("scrape interval", State.UNKNOWN, "the operator finds it"),
    ),
}


@pytest.mark.parametrize("name", list(SICK))
def test_each_thing_that_is_not_as_it_should_be_is_told(name: str) -> None:
    change, check, state, part = SICK[name]
    cluster = healthy()
    change(cluster)
    hits = [each for each in found(cluster) if each.check == check and each.state is state and part in each.text]
    assert len(hits) == 1, [(each.check, each.state, each.text) for each in found(cluster)]
    assert hits[0].fix or state is State.UNKNOWN


def test_who_may_read_nothing_is_told_ok_of_nothing_but_the_clock() -> None:
    cluster = healthy()
    for part in [*cluster.told, "self", "--as", "namespaces/serving/modelrollouts", "deployments.apps", "leases"]:
        if part != "--raw /version":
            told(part, FORBIDDEN)(cluster)
    findings = found(cluster)
    assert {each.state for each in findings if each.check != "clock"} == {State.UNKNOWN}
    assert len(findings) > 6


@pytest.mark.parametrize(
    ("app", "state", "part"),
    [
        ({"ignoreDifferences": [SNIPPET], "syncPolicy": OPTIONS}, State.OK, "leaves its weights alone"),
        ({"ignoreDifferences": [SNIPPET]}, State.ERROR, "has no sync option RespectIgnoreDifferences=true"),
        ({"syncPolicy": OPTIONS}, State.WARNING, "ignores no weights"),
        ({"ignoreDifferences": [{**SNIPPET, "name": "other"}], "syncPolicy": OPTIONS}, State.WARNING, "ignores no"),
        (None, State.UNKNOWN, "no Application of that name"),
    ],
)
def test_argo_cd_must_leave_the_weights_of_an_adopted_route_alone(
    app: dict[str, Any] | None, state: State, part: str
) -> None:
    cluster = healthy()
    rollouts(rollout(**ADOPTS))(cluster)
    told("--raw /apis/argoproj.io/v1alpha1", kinds("applications"))(cluster)
    told("httproutes.gateway.networking.k8s.io --namespace=serving", [ROUTE])(cluster)
    told("applications.argoproj.io", [] if app is None else [{"metadata": {"name": "shop"}, "spec": app}])(cluster)
    (finding,) = [each for each in found(cluster) if each.check == "argo cd"]
    assert (finding.state, part in finding.text) == (state, True), finding


def test_a_route_that_argo_cd_does_not_track_needs_no_rule() -> None:
    cluster = healthy()
    rollouts(rollout(**ADOPTS))(cluster)
    told("--raw /apis/argoproj.io/v1alpha1", kinds("applications"))(cluster)
    told("httproutes.gateway.networking.k8s.io --namespace=serving", [{"metadata": {"name": "fraud"}}])(cluster)
    told("applications.argoproj.io", FORBIDDEN)(cluster)
    assert states(found(cluster), "argo cd") == [State.OK]


def test_a_holder_whose_clock_is_wrong_is_not_taken_for_dead() -> None:
    cluster, renewals = healthy(), iter([NOW - 100, NOW - 96])

    def next_look(_: float) -> None:
        told(LEASES, lease(next(renewals)))(cluster)

    next_look(0)
    findings = list(looked(asking(cluster), None, None, "modelrollout", sleep=next_look, now=lambda: NOW))
    (finding,) = [each for each in findings if each.check == "leader"]
    assert finding.state is State.ERROR
    assert "operator-1 holds Lease modelrollout/modelrollout and renews it, but its time is " in finding.text
    assert finding.text.endswith("s behind the API server's clock")


def test_a_lease_is_held_against_the_clock_as_it_is_when_the_lease_is_read() -> None:
    """Ten seconds of other questions made a leader look like one whose clock is ahead."""
    cluster = healthy()
    told(LEASES, lease(1_800_000_010))(cluster)
    finding = leader(asking(cluster), "modelrollout", "modelrollout", -3600.0, now=lambda: 1_800_003_611.0)
    assert (finding.state, finding.text) == (
        State.OK,
        "operator-1 holds Lease modelrollout/modelrollout, renewed 1s ago",
    )


@pytest.mark.parametrize(("old", "state"), [(3, State.OK), (9, State.WARNING), (14, State.ERROR)])
def test_a_lease_that_is_late(old: float, state: State) -> None:
    cluster = healthy()
    told(LEASES, lease(1_800_000_000 - old))(cluster)
    place = ("modelrollout", "modelrollout", 0.0)
    finding = leader(asking(cluster), *place, sleep=lambda _: None, now=lambda: 1_800_000_000.0)
    assert finding.state is state, finding.text


def test_an_operator_beside_the_cluster_is_known_by_its_lease() -> None:
    cluster = healthy()
    told(OPERATORS, [])(cluster)
    told("leases.coordination.k8s.io --all-namespaces", lease(NOW))(cluster)
    assert states(found(cluster), "leader") == [State.OK]


def test_a_namespace_is_looked_at_where_not_all_may_be() -> None:
    cluster = healthy()
    told(ROLLOUTS, FORBIDDEN)(cluster)
    told("namespaces/serving/modelrollouts", {"items": [rollout()]})(cluster)
    told(OPERATORS, FORBIDDEN)(cluster)
    told("deployments.apps --namespace=modelrollout", [deployment()])(cluster)
    findings = found(cluster)
    assert states(findings, "seen") == states(findings, "operator") == [State.OK]


def test_one_rollout_is_told_with_its_conditions() -> None:
    cluster = healthy()
    told("modelrollouts.modelrollout.dev fraud", rollout("1-errors"))(cluster)
    findings = [each for each in found(cluster, "fraud") if each.check == "conditions"]
    assert {each.state for each in findings} == {State.WARNING}, "a candidate that was taken back is no sick cluster"
    assert findings[-1].text.startswith("Stalled is True: errors: burns over 12x")
    assert not any(ROLLOUTS in each for each in cluster.asked)
    invalid = rollout("1-errors")
    invalid["status"]["phase"] = "Invalid"
    told("modelrollouts.modelrollout.dev fraud", invalid)(cluster)
    assert State.ERROR in states(found(cluster, "fraud"), "conditions")
    told("modelrollouts.modelrollout.dev fraud", rollout("5-tier"))(cluster)
    assert states(found(cluster, "fraud"), "conditions") == [State.OK]


def test_the_operators_rights_are_those_of_the_manifest() -> None:
    """The table of the client and the rights that are installed must not part."""
    manifest = list(yaml.safe_load_all((ROOT / "examples" / "rbac.yaml").read_text()))
    granted = {
        (group, resource, verb)
        for each in manifest
        if each["kind"] in ("ClusterRole", "Role")
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {
        (e.group, e.resource, e.verb) for e in doctor_server.operator_rights("serving", "modelrollout", routes=True)
    }
    # Secrets, namespaces and what single routers take beyond are not asked for.
    resources = {(group, resource) for group, resource, _ in asked}
    assert asked == {each for each in granted if each[:2] in resources}
    assert {"modelrollouts", "modelrollouts/status", "rolloutactions", "metricsources", "leases"} <= {
        resource for _, resource in resources
    }


def test_what_the_command_prints_and_how_it_ends(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        Finding("clock", State.OK, "fine"),
        Finding("leader", State.UNKNOWN, "can't be read"),
        Finding("router", State.WARNING, "slow", "hurry"),
    ]
    monkeypatch.setattr("modelrollout.cli.doctor.looked", lambda *_: iter(results))
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "ok         clock: fine",
        "not known  leader: can't be read",
        "warning    router: slow",
        "           fix: hurry",
        "",
        "1 ok, 1 warning, 1 not known",
    ]
    assert run("doctor", "--strict")[0] == 1
    shown = json.loads(run("doctor", "-o", "json")[1])
    assert shown == as_object(results)
    assert shown["counts"] == {"ok": 1, "warning": 1, "error": 0, "not known": 1}
    results.append(Finding("crds", State.ERROR, "missing", "install"))
    assert run("doctor")[0] == 1
    assert run("doctor", "-o", "name") == (2, "", "error: -o name: findings have none; use text, json or yaml\n")


def test_a_fix_is_never_wrapped_and_states_need_no_colour() -> None:
    fix = "kubectl " + "x" * 200
    page = as_text([Finding("router", State.ERROR, "a " * 100, fix)], width=60, colour=True)
    assert f"fix: {fix}\n" in page
    assert "\x1b[31merror" in page
    assert all(len(line) <= 60 for line in page.splitlines() if "fix" not in line and "\x1b" not in line)


def test_no_cluster_is_one_line(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="The connection to the server 127.0.0.1:1 was refused\n", code=1)
    code, out, err = run("doctor")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "no cluster can be reached" in err


def test_a_slow_answer_is_told_while_it_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "SLOW", 0.0)
    said: list[str] = []
    cluster = healthy()
    asks = Asking(cluster, say=said.append)

    def call(*_: str, text: str | None = None) -> str:
        until = time.monotonic() + 10
        while not said and time.monotonic() < until:
            pass
        return "{}"

    object.__setattr__(cluster, "call", call)
    asks.text("the rollouts", "get")
    assert said == ["asking for the rollouts ..."]


def test_a_quick_answer_is_not_announced() -> None:
    said: list[str] = []
    assert Asking(healthy(), say=said.append).raw("the rollouts", ROLLOUTS) is not None
    assert said == []


@pytest.mark.parametrize(
    ("late", "state"), [(0.0, State.OK), (4.0, State.OK), (60.0, State.WARNING), (-60.0, State.WARNING)]
)
def test_the_clock_of_this_machine(late: float, state: State) -> None:
    cluster = healthy()
    told("--raw /version", logged(1_800_000_000))(cluster)
    finding, ahead = clock(asking(cluster), now=lambda: 1_800_000_000.5 + late)
    assert (finding.state, ahead) == (state, -late)


@pytest.mark.parametrize(
    ("client", "server", "same"),
    [
        ("0.1.0.dev0", "0.1.0", True),
        ("0.1.0", "v0.1.7", True),
        ("0.1.0", "0.2.0", False),
        ("1.2.0", "1.9.1", True),
        ("1.2.0", "2.0.0", False),
    ],
)
def test_which_versions_agree(client: str, server: str, same: bool) -> None:
    assert installed.agrees(client, server) is same


def test_several_objects_one_after_the_other() -> None:
    assert list(bodies('{"a": 1}\n{"b": 2}\n[3] nonsense')) == [{"a": 1}, {"b": 2}]


def test_a_review_without_all_its_answers_is_no_answer() -> None:
    cluster = healthy()
    object.__setattr__(cluster, "_review", lambda *_: '{"status": {"allowed": true}}')
    wanted = doctor_server.callers_rights("serving")[0]
    refused = doctor_server.rights(asking(cluster), wanted)
    assert isinstance(refused, Complaint)
    assert refused.cause is Cause.OTHER


def test_every_router_of_the_api_is_looked_for() -> None:
    named = {to_camel(name) for name in Traffic.model_fields}
    assert named == {*doctor_rollouts.ROUTERS, *doctor_rollouts.BESIDE}
