"""A run on the real API server told line by line: who wrote what, and when."""

from __future__ import annotations

from collections.abc import Iterator

from e2e.chaos.real.drive import Outcome
from e2e.chaos.story import detail
from modelrollout.adapters.kube.resources import LEASES


def story(outcome: Outcome) -> Iterator[str]:
    """Its lines; Leases only when they change hands."""
    holder = ""
    history = outcome.run.history
    for version in history:
        told = detail(version)
        if version.resource is LEASES:
            now = str(((version.body or {}).get("spec") or {}).get("holderIdentity", "nobody"))
            if now == holder:
                continue
            holder, told = now, f"held by {now}"
        what = f"{version.event.lower()} {version.resource.plural}/{version.place[1]}"
        yield f"{version.at - history[0].at:8.2f} s  {version.agent:12} {what}  {told}".rstrip()
