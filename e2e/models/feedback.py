"""Join true labels with predictions. Standard library only.

Feedback comes through the gateway and lands at any pod of either arm, so it carries what is needed:
`{"id", "label", "predicted", "version", "step", "cohort"}`. Without `predicted` and `version` the pod looks the id up
among its own newest predictions. The counter's `version` is the one that predicted, not the one that counts:
read it with the arms told apart by the label `version`, not by pod.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeGuard

from e2e.models.http11 import Refused
from e2e.models.telemetry import DEFAULT_STEP, Telemetry

REMEMBERED = 20_000
MAX_BATCH = 500
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
STEP = re.compile(r"[0-9]{1,3}")
COHORT = re.compile(r"[0-9]{0,12}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many labels of a post were counted, and how many were not (unknown id, or known already)."""

    counted: int
    unmatched: int


class Feedback:
    """Counts labels in `predictions_labeled_total`, each id once per pod."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._predicted: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def remember(self, ident: str, label: int, cohort: str) -> None:
        """Keep an own prediction for feedback that brings only the id."""
        self._predicted[ident] = label, cohort
        if len(self._predicted) > REMEMBERED:
            self._predicted.popitem(last=False)

    def take(self, body: object) -> Outcome:
        """Count one label or a list of them; Refused (400) names the first item that is malformed."""
        items = body if isinstance(body, list) else [body]
        if len(items) > MAX_BATCH:
            raise Refused(400, "feedback", f"{len(items)} labels in one post; at most {MAX_BATCH}")
        # All are checked before any is counted: a refused post must not have counted half.
        checked = [self._check(item, index) for index, item in enumerate(items)]
        counted = sum(self._count(item) for item in checked)
        unmatched = len(checked) - counted
        self._telemetry.unmatched.add(amount=unmatched)
        return Outcome(counted, unmatched)

    def _check(self, item: object, index: int) -> "_Label":
        if not isinstance(item, dict):
            raise Refused(400, "feedback", f'item {index} must be an object such as {{"id": "a", "label": 1}}')
        ident = item.get("id")
        if not isinstance(ident, str) or not 0 < len(ident) <= 128:
            raise Refused(400, "feedback", f"item {index}: id must be a string of 1 to 128 characters")
        label, predicted = item.get("label"), item.get("predicted")
        if not _is_label(label) or not (predicted is None or _is_label(predicted)):
            raise Refused(400, "feedback", f"item {index}: label and predicted must be 0 or 1")
        version = str(item.get("version", self._telemetry.version))
        step = str(item.get("step", DEFAULT_STEP))
        if not VERSION.fullmatch(version) or not STEP.fullmatch(step):
            raise Refused(400, "feedback", f"item {index}: version or step {version[:20]!r}/{step[:20]!r} is no name")
        cohort = item.get("cohort", "")
        if not isinstance(cohort, str) or not COHORT.fullmatch(cohort):
            raise Refused(400, "feedback", f"item {index}: cohort must be epoch seconds as a string")
        return _Label(ident, int(label), predicted, version, step, cohort)

    def _count(self, item: "_Label") -> bool:
        ident, predicted, version, cohort = item.ident, item.predicted, item.version, item.cohort
        if predicted is None:
            predicted, cohort = self._predicted.get(ident, (None, ""))
            version = self._telemetry.version
        if predicted is None or ident in self._seen or not self._telemetry.label_children(version, item.step):
            return False
        self._seen[ident] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        cohort = self._telemetry.cohorts.counted(cohort)
        self._telemetry.labeled.add(version, item.step, cohort, "true" if item.label == predicted else "false")
        return True


@dataclass(frozen=True, slots=True)
class _Label:
    """One item of a post. `predicted`: None when only the id came."""

    ident: str
    label: int
    predicted: int | None
    version: str
    step: str
    cohort: str


def _is_label(value: object) -> TypeGuard[int]:
    return not isinstance(value, bool) and value in (0, 1)
