"""`modelrollout doctor`: the Gateways that managed routes attach to: are they there, and do they take such routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.cli.asking import Asking
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.doctor_rollouts import named
from modelrollout.cli.fields import Fields
from modelrollout.cli.findings import Finding, error, ok, unknown, warning

GATEWAYS = "gateways.gateway.networking.k8s.io"
FIELD = "spec.traffic.managedRoute.parentRefs"

Place = tuple[str, str, str]
"""Namespace and name of a Gateway, and the listener that a parentRef names; empty: any of them."""


def gateways(asking: Asking, rollouts: Sequence[Fields]) -> Iterator[Finding]:
    """Each Gateway that a managed route names. The operator may not read them: without an answer it only waits."""
    used: dict[Place, list[Fields]] = {}
    for each in rollouts:
        own = each.part("metadata").text("namespace")
        for parent in each.part("spec", "traffic", "managedRoute").items("parentRefs"):
            place = (parent.text("namespace") or own, parent.text("name"), parent.text("sectionName"))
            used.setdefault(place, []).append(each)
    for place, whose in sorted(used.items(), key=lambda item: item[0]):
        namespace, name, section = place
        told = f"Gateway {namespace}/{name}"
        found = asking.items(told, GATEWAYS, f"--namespace={namespace}", f"--field-selector=metadata.name={name}")
        if isinstance(found, Complaint):
            yield unknown("gateway", f"{told} can't be read: {found}")
        elif not found:
            yield error("gateway", f"there is no {told}, which {named(whose)} use", f"create it, or correct {FIELD}")
        else:
            yield _judged(told, Fields(found[0]), section, whose)


def _judged(told: str, gateway: Fields, section: str, whose: Sequence[Fields]) -> Finding:
    meta = gateway.part("metadata")
    look = f"kubectl -n {meta.text('namespace')} describe gateway {meta.text('name')}"
    listeners = gateway.part("spec").items("listeners")
    if section:
        listeners = [each for each in listeners if each.text("name") == section]
        if not listeners:
            return error("gateway", f"{told} has no listener {section}", f"correct sectionName in {FIELD}")
    outside = [each for each in whose if not any(_takes(listener, each, meta) for listener in listeners)]
    if outside:
        what = f"listener {section} of {told} takes" if section else f"no listener of {told} takes"
        space = outside[0].part("metadata").text("namespace")
        text = f"{what} {'no ' if section else ''}routes from namespace {space}, where {named(outside)} is"
        return error("gateway", text, "allow it by allowedRoutes.namespaces of a listener")
    programmed = gateway.part("status").condition("Programmed")
    if programmed.text("status") != "True":
        why = programmed.text("message") or programmed.text("reason") or "its controller has not said so"
        return warning("gateway", f"{told} is not programmed: {why}", look)
    return ok("gateway", f"{told} is programmed and takes the routes of {named(whose)}")


def _takes(listener: Fields, rollout: Fields, gateway: Fields) -> bool:
    """Whether routes of the rollout's namespace may attach; what a selector selects is not known here."""
    rule = listener.part("allowedRoutes", "namespaces").text("from") or "Same"
    same = rollout.part("metadata").text("namespace") == gateway.text("namespace")
    return rule in ("All", "Selector") or (rule == "Same" and same)
