"""What the oracles of virtual time say of a run on the real API server, and what is only asked here."""

from __future__ import annotations

from collections.abc import Iterator

from e2e.chaos import oracles
from e2e.chaos.drive import OPERATORS, Run
from e2e.chaos.reverts import Violation, zero_after
from e2e.chaos.scene import ROUTE, weight_of
from modelrollout.adapters.kube.resources import HTTPROUTES


def check(run: Run, reference: Run | None) -> list[Violation]:
    """Everything that is wrong with a run; without a reference only what can be said of it alone."""
    return [*oracles.check(run, reference), *_down_for_good(run)]


def _down_for_good(run: Run) -> Iterator[Violation]:
    """What the operator took to 0 for a reason that lasts, it does not raise again, whoever had died meanwhile."""
    for trigger in run.triggers:
        down = zero_after(run.history, trigger.at)
        weight = 0.0
        for version in run.history:
            if version.resource is not HTTPROUTES or version.place[1] != ROUTE or version.body is None:
                continue
            before, weight = weight, weight_of(version.body) or 0.0
            if down is not None and version.at > down and weight > before and version.agent.startswith(OPERATORS):
                yield Violation(
                    "I4",
                    f"{trigger.what}: raised again to {weight:g} % by {version.agent}, {version.at - down:.1f} s after "
                    "it was at 0 %",
                )
