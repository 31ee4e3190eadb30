"""A run told line by line: who wrote what, and when."""

from __future__ import annotations

from collections.abc import Iterator

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.carriers import MANAGED, Carrier
from e2e.chaos.clock import START
from e2e.chaos.drive import drive
from e2e.chaos.faults import Plan
from modelrollout.adapters.kube.resources import EVENTS, LEASES, ROLLOUTS


def story(plan: Plan) -> Iterator[str]:
    """Its lines; Leases only when they change hands."""
    holder = ""
    run = drive(plan)
    for version in run.history:
        if version.resource is LEASES:
            now = str(((version.body or {}).get("spec") or {}).get("holderIdentity", "nobody"))
            if now == holder:
                continue
            holder = now
            told = f"held by {now}"
        else:
            told = detail(version, run.workload.carrier)
        at = version.at - START
        what = f"{version.event.lower()} {version.resource.plural}/{version.place[1]}"
        yield f"{at:9.3f} s  {version.number:5}  {version.agent:14} {what}  {told}".rstrip()


def detail(version: Version, carrier: Carrier = MANAGED) -> str:
    """What a version shows, in a few words."""
    body = version.body or {}
    if version.resource is carrier.resource and version.place[1] == carrier.name:
        weight = carrier.weight(version.body)
        return "" if weight is None else f"candidate {weight:g} %"
    if version.resource is ROLLOUTS:
        status = body.get("status") or {}
        return f"{status.get('phase', '')} {status.get('reason', '')}: {str(status.get('message', ''))[:90]}"
    if version.resource is EVENTS:
        return f"{body.get('reason')}: {str(body.get('note', ''))[:90]}"
    return ""
