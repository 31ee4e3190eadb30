"""What the API server refuses to do for a rollout, so that its status says so until it is done.

The core decides as if every write could be made; that one can't, for lack of a right or by admission, is known here
only. Lost at a restart: the next try meets the same refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelrollout.core.model import Key, Phase
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.status import Condition, RolloutStatus
from modelrollout.errors import Denied, RolloutError, SpecError
from modelrollout.runtime.backoff import SLOW


class Resting(RolloutError):
    """A raise was refused a moment ago and is not tried for `seconds` more: its two status writes are events too."""

    def __init__(self, key: Key, seconds: float) -> None:
        super().__init__(f"not tried again for {seconds:.0f} s", subject=str(key))
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: Denied | SpecError
    since: float
    at: float

    @property
    def reason(self) -> Reason:
        return Reason.DENIED if isinstance(self.error, Denied) else Reason.INVALID_SPEC


class Refusals:
    """The standing refusal of each rollout, if any."""

    def __init__(self) -> None:
        self._known: dict[Key, _Refusal] = {}

    def note(self, key: Key, error: Denied | SpecError, now: float) -> None:
        """A write for this rollout was refused."""
        before = self._known.get(key)
        same = before is not None and type(before.error) is type(error)
        self._known[key] = _Refusal(error, before.since if before is not None and same else now, now)

    def rest(self, key: Key, now: float) -> None:
        """Raises Resting while the refusal is young."""
        known = self._known.get(key)
        if known is not None and 0 <= now - known.at < SLOW:
            raise Resting(key, known.at + SLOW - now)

    def clear(self, key: Key) -> None:
        """Nothing is refused (any more)."""
        self._known.pop(key, None)

    def first(self, key: Key, status: RolloutStatus) -> RolloutStatus:
        """The decided `status` of a rollout that nothing was written for yet, as that of one that can't begin."""
        refusal = self._known.get(key)
        if refusal is None:
            return status
        return replace(status, phase=Phase.INVALID, reason=refusal.reason, message=str(refusal.error))

    def told(self, key: Key, status: RolloutStatus) -> RolloutStatus:
        """`status` with a standing refusal in its conditions: neither `Ready` nor `Reconciling`, but `Stalled`.

        All else stays. A condition that is `Reconciling` beside it would hide it from GitOps tools.
        """
        refusal = self._known.get(key)
        if refusal is None:
            return status

        def over(condition: Condition) -> Condition:
            if condition.type not in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED):
                return condition
            value = str(condition.type == ConditionType.STALLED)
            if condition.type == ConditionType.RECONCILING and condition.status == value:
                return condition
            return replace(
                condition, status=value, reason=refusal.reason, message=str(refusal.error), since=refusal.since
            )

        return replace(status, conditions=tuple(over(condition) for condition in status.conditions))
