"""`modelrollout doctor`: does Argo CD leave the weights of adopted routes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.cli.asking import Asking
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.doctor_rollouts import Served
from modelrollout.cli.fields import Fields
from modelrollout.cli.findings import Finding, error, ok, unknown, warning

API, APPLICATIONS = "argoproj.io/v1alpha1", "applications"
TRACKED, INSTANCE = "argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance"
PAGE = "see docs/how-to/gitops.md, An adopted route in Git"
OPTION = "RespectIgnoreDifferences=true"


def adopted(asking: Asking, rollouts: Sequence[Fields], served: Served) -> Iterator[Finding]:
    """Whether the Application of each adopted route ignores its weights; nothing to say without such routes."""
    routes = sorted(
        {
            (each.part("metadata").text("namespace"), adopts.text("name"))
            for each in rollouts
            if (adopts := each.part("spec", "traffic", "adoptRoute"))
        }
    )
    if not routes:
        return
    there = served(API, APPLICATIONS)
    if isinstance(there, Complaint):
        yield unknown("argo cd", f"whether Argo CD is here can't be asked: {there}")
        return
    if not there:
        return
    found = asking.items("Argo CD's Applications", "applications.argoproj.io", "--all-namespaces")
    for namespace, name in routes:
        place = f"HTTPRoute {namespace}/{name}"
        route = asking.items(
            place,
            "httproutes.gateway.networking.k8s.io",
            f"--namespace={namespace}",
            f"--field-selector=metadata.name={name}",
        )
        if isinstance(route, Complaint):
            yield unknown("argo cd", f"{place} can't be read: {route}")
        elif not route:
            yield unknown("argo cd", f"there is no {place}")
        else:
            owner = application(Fields(route[0]))
            if not owner:
                yield ok("argo cd", f"{place} is not tracked by an Application")
            elif isinstance(found, Complaint):
                yield unknown("argo cd", f"{place} is tracked by {owner}; Applications can't be read: {found}")
            else:
                yield judged(place, owner, [Fields(each) for each in found], name)


def application(route: Fields) -> str:
    """Name of the Application that tracks the route; empty when none does."""
    meta = route.part("metadata")
    tracked = meta.part("annotations").text(TRACKED).partition(":")[0]
    # An Application of another namespace is written namespace_name.
    return tracked.rpartition("_")[2] or meta.part("labels").text(INSTANCE)


def judged(place: str, owner: str, found: Sequence[Fields], route: str) -> Finding:
    """Both parts of the snippet: what is ignored, and that a sync respects it."""
    app = next((each for each in found if each.part("metadata").text("name") == owner), None)
    if app is None:
        return unknown("argo cd", f"{place} is labelled with {owner}, and no Application of that name is to be seen")
    spec = app.part("spec")
    ignores = any(
        each.text("kind") in ("HTTPRoute", "*")
        and each.text("name") in ("", route)
        and any("weight" in path for path in [*each.texts("jqPathExpressions"), *each.texts("jsonPointers")])
        for each in spec.items("ignoreDifferences")
    )
    if OPTION not in spec.part("syncPolicy").texts("syncOptions"):
        told = f"{place}: Application {owner} has no sync option {OPTION}: every sync writes Git's weights"
        return error("argo cd", told, PAGE)
    if not ignores:
        told = f"{place}: Application {owner} ignores no weights; only argocd-cm could do it instead"
        return warning("argo cd", told, PAGE)
    return ok("argo cd", f"{place}: Application {owner} leaves its weights alone")
