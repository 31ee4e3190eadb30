"""Group `modelrollout.dev`, version `v1alpha1`: the schema of every resource."""

from modelrollout.api.v1alpha1.action import ActionSpec, ActionStatus
from modelrollout.api.v1alpha1.profile import SliProfileSpec, SliProfileStatus
from modelrollout.api.v1alpha1.rollout import RolloutSpec
from modelrollout.api.v1alpha1.source import SourceSpec
from modelrollout.api.v1alpha1.status import RolloutStatus

__all__ = [
    "GROUP",
    "VERSION",
    "ActionSpec",
    "ActionStatus",
    "RolloutSpec",
    "RolloutStatus",
    "SliProfileSpec",
    "SliProfileStatus",
    "SourceSpec",
]

GROUP = "modelrollout.dev"
VERSION = "v1alpha1"
