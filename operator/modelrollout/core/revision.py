"""What makes a candidate another one than the last: its pod template and the model that it is said to serve."""

from __future__ import annotations

import hashlib

from modelrollout.core.model import Arm
from modelrollout.core.observation import Workload, WorkloadSeen


def revision_of(candidate: Workload, arm: Arm) -> str | None:
    """Short hash of the candidate's pod template as stored and the model it is said to serve; None while absent."""
    if not isinstance(candidate, WorkloadSeen):
        return None
    return revision_hash(candidate.template_hash, arm.model_name, arm.model_version)


def revision_hash(template_hash: str, model_name: str | None, model_version: str | None) -> str:
    """The same from its parts, ten hexadecimal digits."""
    identity = repr((template_hash, model_name, model_version))
    return hashlib.blake2b(identity.encode(), digest_size=5).hexdigest()
