"""`SliProfile` objects as the operator sees them: what they mean, and what their status says of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.resources import PROFILES, Body
from modelrollout.api.profile import to_profile
from modelrollout.api.reading import mapping, text
from modelrollout.api.status_text import cut, render_time
from modelrollout.api.v1alpha1.status import TEXT
from modelrollout.catalog.profiles import Profile
from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import ConditionType, Reason

Verdict = tuple[str, str, str]
"""Status, reason and message of the condition Accepted."""


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A `SliProfile`. `told`: what its status says, of which generation, and since when (RFC 3339)."""

    name: str
    uid: str
    generation: int
    version: str
    found: Profile | SpecProblem
    told: Verdict | None
    told_of: object
    since: str

    @property
    def verdict(self) -> Verdict:
        """What its status should say."""
        if isinstance(self.found, SpecProblem):
            return "False", self.found.reason, cut(self.found.problem, TEXT)
        return "True", Reason.ACCEPTED, ""

    @property
    def current(self) -> bool:
        """Whether the status says so already."""
        return self.told == self.verdict and self.told_of == self.generation

    def status(self, now: float) -> Body:
        """`.status` with the verdict; `now` in epoch seconds."""
        value, reason, message = self.verdict
        same = self.told is not None and self.told[0] == value and self.since
        slis = ", ".join(self.found.slis) if isinstance(self.found, Profile) else None
        condition = {
            "type": ConditionType.ACCEPTED.value,
            "status": value,
            "reason": str(reason),
            "message": message,
            "lastTransitionTime": self.since if same else render_time(now),
            "observedGeneration": self.generation,
        }
        return {"observedGeneration": self.generation, "slis": slis, "conditions": [condition]}


def profile_view(body: Body) -> ProfileView:
    """The view of a `SliProfile` body."""
    metadata, status = body["metadata"], mapping(body, "status")
    conditions = status.get("conditions")
    accepted = next(
        (
            c
            for c in (conditions if isinstance(conditions, list) else ())
            if isinstance(c, dict) and c.get("type") == ConditionType.ACCEPTED.value
        ),
        None,
    )
    return ProfileView(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        version=str(metadata.get("resourceVersion", "")),
        found=to_profile(body),
        told=None
        if accepted is None
        else (text(accepted, "status"), text(accepted, "reason"), text(accepted, "message")),
        told_of=status.get("observedGeneration"),
        since="" if accepted is None else text(accepted, "lastTransitionTime"),
    )


PROFILE: Kind[ProfileView] = Kind(PROFILES, profile_view)
