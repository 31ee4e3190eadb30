"""`modelrollout doctor`: rollouts against what serves them: routers, finalizers, and one rollout's own conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from modelrollout.cli.complaints import Complaint
from modelrollout.cli.fields import Fields, looked_at
from modelrollout.cli.findings import Finding, error, ok, unknown, warning
from modelrollout.core.wording import duration

FINALIZER = "modelrollout.dev/route"
PATIENCE = 60.0
"""Seconds that a deletion may take: traffic goes back to legacy first."""
ROUTERS = {
    "managedRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "adoptRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "ingressNginx": ("networking.k8s.io/v1", "ingresses"),
    "istio": ("networking.istio.io/v1", "virtualservices"),
    "traefik": ("traefik.io/v1alpha1", "traefikservices"),
    "replicas": ("apps/v1", "deployments"),
}
"""API and resource that each router of `spec.traffic` writes."""
BESIDE = ("segments", "sticky", "settle")
"""Fields of `spec.traffic` that are no routers."""
INSTALL = {
    "gateway.networking.k8s.io/v1": "install the Gateway API's CRDs (standard channel)",
    "networking.istio.io/v1": "install Istio 1.22 or newer",
    "traefik.io/v1alpha1": "install Traefik's CRDs",
}
NORMAL = {
    "Accepted": "True",
    "ResolvedRefs": "True",
    "Available": "True",
    "MetricsFresh": "True",
    "BudgetHealthy": "True",
    "Stalled": "False",
}
GRAVE = ("Accepted", "ResolvedRefs", "Available", "Stalled")
SHOWN = 3

Served = Callable[[str, str], bool | Complaint]
"""Whether an API (group/version) has this resource; a Complaint when that can't be asked."""


def named(found: Sequence[Fields]) -> str:
    """`serving/fraud, serving/spam and 7 others`."""
    names = [f"{each.part('metadata').text('namespace')}/{each.part('metadata').text('name')}" for each in found]
    more = f" and {len(names) - SHOWN} others" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def routers(rollouts: Sequence[Fields], served: Served) -> Iterator[Finding]:
    """Whether the kinds that rollouts' routers write are served; without rollouts, whether any router works."""
    used: dict[str, list[Fields]] = {}
    for each in rollouts:
        for router in each.part("spec", "traffic").names():
            if router not in BESIDE:
                used.setdefault(router, []).append(each)
    for router in sorted(used.keys() | ({"managedRoute"} if not rollouts else set())):
        whose = used.get(router, [])
        if router not in ROUTERS:
            yield unknown("router", f"{router}, of {named(whose)}: this client does not know it")
            continue
        api, resource = ROUTERS[router]
        answer = served(api, resource)
        if isinstance(answer, Complaint):
            yield unknown("router", f"{router}: whether {resource} are served can't be asked: {answer}")
        elif answer:
            yield ok("router", f"{router}: {resource} of {api} are served")
        else:
            told = f"{router}: the API server has no {resource} of {api}"
            told += f", which {named(whose)} use" if whose else "; no rollout uses it yet"
            yield (error if whose else warning)("router", told, INSTALL.get(api, f"serve {api}"))


def finalizers(rollouts: Sequence[Fields], now: float) -> Finding:
    """Whether a deletion hangs."""
    hanging = []
    for each in rollouts:
        meta = each.part("metadata")
        deleted = meta.moment("deletionTimestamp")
        if deleted is not None and now - deleted > PATIENCE and FINALIZER in meta.texts("finalizers"):
            hanging.append((deleted, each))
    if not hanging:
        return ok("finalizers", f"none of {len(rollouts)} rollouts hangs in its deletion")
    oldest = min(deleted for deleted, _ in hanging)
    told = f"{named([each for _, each in hanging])}: being deleted for {duration(now - oldest)}"
    return error("finalizers", f"{told}, and {FINALIZER} still holds", "see docs/runbooks/deletion-blocked.md")


def unseen(rollouts: Sequence[Fields]) -> Finding:
    """Whether an operator has looked at the newest version of every rollout."""
    late = [each for each in rollouts if not looked_at(each)]
    if late:
        told = f"{named(late)}: no operator has looked at the newest version"
        return error("seen", told, "is an operator running, and does it serve the namespace and these labels?")
    return ok("seen", f"an operator has looked at the newest version of {len(rollouts)} rollouts")


def conditions(obj: Fields) -> Iterator[Finding]:
    """Those of one rollout that are not as they should be, with what the operator says."""
    status, meta, wrong = obj.part("status"), obj.part("metadata"), False
    fine = []
    fix = f"kubectl modelrollout explain {meta.text('name')} -n {meta.text('namespace')}"
    for kind, normal in NORMAL.items():
        found = status.condition(kind)
        state = found.text("status")
        if state == normal or found.text("reason") == "NotEvaluated":
            fine.append(f"{kind}={state}")  # At rest nothing is evaluated.
            continue
        wrong = True
        told = f"{kind} is {state or 'not written'}"
        why = found.text("message") or found.text("reason")
        told += f": {why}" if why else ""
        if state in ("", "Unknown"):
            yield unknown("conditions", told)
        else:
            # A candidate that was taken back is what the operator is there for.
            taken_back = kind == "Stalled" and status.text("phase") == "RolledBack"
            grave = error if kind in GRAVE and not taken_back else warning
            yield grave("conditions", told, fix)
    if not wrong:
        yield ok("conditions", ", ".join(fine))
