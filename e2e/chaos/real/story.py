"""A run on the real API server told line by line: who wrote what, and when."""

from __future__ import annotations

from collections.abc import Iterator

from e2e.chaos.real.drive import Outcome
from e2e.chaos.scene import weight_of
from modelrollout.adapters.kube.resources import HTTPROUTES, LEASES, ROLLOUTS


def story(outcome: Outcome) -> Iterator[str]:
    """Its lines, the election aside."""
    history = [v for v in outcome.run.history if v.resource is not LEASES]
    for version in history:
        body, detail = version.body or {}, ""
        if version.resource is HTTPROUTES and version.body is not None:
            detail = f"candidate {weight_of(body) or 0.0:g} %"
        elif version.resource is ROLLOUTS:
            status = body.get("status") or {}
            detail = f"{status.get('phase', '')} {status.get('reason', '')}: {str(status.get('message', ''))[:90]}"
        what = f"{version.event.lower()} {version.resource.plural}/{version.place[1]}"
        yield f"{version.at - history[0].at:8.2f} s  {version.agent:12} {what}  {detail}".rstrip()
