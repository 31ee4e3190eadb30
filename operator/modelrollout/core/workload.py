"""An arm's Deployment and Service as seen, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkloadSeen:
    """A Deployment with its Service. `endpoints`: ready endpoints behind the Service that serve the port.

    `template_hash`: hash of the pod template as stored. `settled`: the Deployment controller has observed the newest
    generation and every wanted replica runs it.
    """

    template_hash: str
    wanted: int
    endpoints: int
    settled: bool


@dataclass(frozen=True, slots=True)
class WorkloadAbsent:
    """A reference that does not resolve; `problem` is a sentence for the user that names object, field and fix."""

    problem: str


Workload = WorkloadSeen | WorkloadAbsent
