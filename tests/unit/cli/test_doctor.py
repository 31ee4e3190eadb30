"""`doctor`: what each state of a cluster is told as, what may not be read, and how it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelrollout import __version__
from modelrollout.api.crd import KINDS, definition
from modelrollout.cli.findings import State
from tests.unit.cli.cluster_answers import FORBIDDEN, NOT_SERVED, Cluster
from tests.unit.cli.doctor_scene import (
    LEASES,
    NOW,
    OPERATORS,
    READS,
    ROLLOUTS,
    SOURCE,
    at,
    deployment,
    found,
    healthy,
    kinds,
    lease,
    logged,
    refuses,
    rollout,
    rollouts,
    states,
    told,
)

TRACKED = {"argocd.argoproj.io/tracking-id": "ml_shop:gateway.networking.k8s.io/HTTPRoute:serving/fraud"}
ROUTE = {"metadata": {"name": "fraud", "annotations": TRACKED}}
SNIPPET = {"kind": "HTTPRoute", "jqPathExpressions": [".spec.rules[]?.backendRefs[]?.weight"]}
OPTIONS = {"syncOptions": ["RespectIgnoreDifferences=true"]}


def test_a_healthy_cluster_has_nothing_but_ok() -> None:
    findings = found(healthy())
    assert [each for each in findings if each.state is not State.OK] == []
    assert {each.check for each in findings} == {
        *("clock", "crds", "crd fields", "your right to read", "your right to order", "operator", "version", "leader"),
        *(
            "operator's rights",
            "seen",
            "finalizers",
            "router",
            "gateway",
            "metric source",
            "prometheus",
            "scrape interval",
        ),
    }


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
