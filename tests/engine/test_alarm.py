"""What has failed stays failed in its step, whatever is counted afterwards."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.core.model import Verdict
from modelrollout.core.observation import EvidencePending, EvidenceSeen, EvidenceUnreachable
from modelrollout.runtime.alarm import lasting
from tests.scene import assessed

FAILED = assessed(Verdict.FAIL)
SEEN = EvidenceSeen(10.0, 20.0, (FAILED,))


def test_bug_a_revert_that_could_not_be_recorded_was_undone_when_its_numbers_no_longer_held() -> None:
    """At weight 0 the newest requests were a few less bad than half, and the route at 0 looked like somebody's edit."""
    later = EvidenceSeen(10.0, 25.0, (assessed(Verdict.WAIT),))
    assert lasting(SEEN, later) == replace(later, slis=(FAILED,))


def test_silence_afterwards_hides_nothing() -> None:
    for silence in (EvidencePending(), EvidenceUnreachable("Timeout", 21.0)):
        assert lasting(SEEN, silence) == SEEN


def test_what_fails_anew_has_its_newest_numbers() -> None:
    newer = EvidenceSeen(10.0, 25.0, (replace(FAILED, sample_age=3.0),))
    assert lasting(SEEN, newer) == newer


def test_what_decides_nothing_and_what_never_failed_comes_and_goes() -> None:
    informative = replace(FAILED, name="latency", critical=False)
    before = EvidenceSeen(10.0, 20.0, (assessed(Verdict.WAIT), informative))
    later = EvidenceSeen(10.0, 25.0, (assessed(Verdict.PASS), replace(informative, verdict=Verdict.PASS)))
    assert lasting(before, later) == later
    assert lasting(EvidencePending(), later) == later
