"""What the oracles of virtual time say of a run on the real API server, and what is only asked here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from e2e.chaos import oracles
from e2e.chaos.drive import Run
from e2e.chaos.reverts import Violation
from e2e.chaos.scene import OPERATORS
from modelrollout.adapters.kube.resources import LEASES, Resource

TAKEOVER = 20.0
"""Seconds in which a standby holds the Lease of a leader that is gone."""
REQUEST = 1.0


def check(run: Run, reference: Run | None, takeovers: Sequence[float] = ()) -> list[Violation]:
    """Everything that is wrong with a run; without a reference only what can be said of it alone."""
    late = [took for took in takeovers if took > TAKEOVER + REQUEST + run.patience]
    found = [Violation("takeover", f"a standby took over after {took:.1f} s, allowed {TAKEOVER:g} s") for took in late]
    return [*oracles.check(run, reference), *found, *_deposed(run)]


def _deposed(run: Run) -> Iterator[Violation]:
    """I5: nobody writes an object after one who held the Lease later has written it.

    Versions of one etcd are in one order, those of the Lease among them.
    """
    tenures: dict[str, int] = {}
    highest: dict[tuple[Resource, str], tuple[int, str]] = {}
    for version in run.history:
        if version.body is None or not version.agent.startswith(OPERATORS):
            continue
        if version.resource is LEASES:
            spec = version.body.get("spec") or {}
            if spec.get("holderIdentity"):
                tenures[version.agent] = int(spec.get("leaseTransitions") or 0)
            continue
        mine, (_, name) = tenures.get(version.agent, -1), version.place
        place, what = (version.resource, name), f"{version.resource.plural}/{name} at {version.number}"
        known, author = highest.get(place, (-1, ""))
        if mine < known:
            yield Violation("I5", f"{what}: {version.agent} (epoch {mine}) wrote after {author} (epoch {known})")
        else:
            highest[place] = (mine, version.agent)
