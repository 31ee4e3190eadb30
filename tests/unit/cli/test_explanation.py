"""What `explain` says where no recorded scene goes: the last step, counts that go on, silence of both versions."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelrollout.api.convert import to_spec
from modelrollout.api.status_codec import decode
from modelrollout.api.status_text import render_time
from modelrollout.cli.explanation import Explanation, explain
from modelrollout.core.model import RolloutSpec
from tests.unit.cli.scenes import scene


def told(obj: dict[str, Any], now: float) -> Explanation:
    spec, status = to_spec(obj), decode(obj["status"])
    assert isinstance(spec, RolloutSpec)
    assert status is not None
    return explain(spec, status, now)


def low_traffic() -> tuple[dict[str, Any], float]:
    """A step at 10 % that has 38 of about 340 and 540 requests, three minutes after that was written."""
    obj, now = scene("8-low-traffic")
    return copy.deepcopy(obj), now


def test_the_wait_of_a_small_service_is_told_in_requests_and_minutes() -> None:
    waits = told(*low_traffic()).waits
    assert waits == (
        "errors: waiting, 38 of about 340 candidate requests needed to tell that it is as good as legacy."
        " At that rate, 17m more.",
        "latency: waiting, 38 of about 540 candidate requests needed to tell that it is as good as legacy."
        " At that rate, 30m more.",
    )


def test_a_wait_that_should_be_over_by_now_says_so() -> None:
    obj, now = low_traffic()
    assert "At that rate they have come by now." in told(obj, now + 3600).waits[0]


@pytest.mark.parametrize("counted", [0, 9])
def test_a_few_requests_tell_no_rate(counted: int) -> None:
    obj, now = low_traffic()
    obj["status"]["slis"][0]["candidate"]["total"] = counted
    assert "rate" not in told(obj, now).waits[0]


def test_enough_requests_without_a_verdict_are_told_by_their_odds() -> None:
    obj, now = low_traffic()
    obj["status"]["slis"][0] |= {"needed": 30}
    obj["status"]["slis"][0]["evidence"] |= {"fine": "1.5"}
    assert told(obj, now).waits[0] == (
        "errors: waiting, 38 candidate requests are not enough: the odds that it is as good as legacy are 4.5 : 1,"
        " 20 : 1 needed."
    )


def test_what_the_operator_noted_before_the_first_step_is_not_kept_from_anybody() -> None:
    obj, now = low_traffic()
    obj["status"]["notes"] = ["errors: margin 1.25 + 0.02 is not provable"]
    assert told(obj, now).waits[-1] == "errors: margin 1.25 + 0.02 is not provable."
    obj["status"]["reason"] = "PausedByAction"
    assert told(obj, now).waits[-1] == "errors: margin 1.25 + 0.02 is not provable."


def test_at_the_last_step_nothing_is_compared_with_legacy() -> None:
    obj, now = low_traffic()
    assert any("legacy" in each for each in told(obj, now).reverts)
    obj["status"]["step"] |= {"index": 2, "weight": "100"}
    assert [each for each in told(obj, now).reverts if "legacy" in each] == []


def test_silence_of_both_versions_pauses_and_is_not_told_as_a_revert() -> None:
    """Nobody is reverted because scraping failed, whatever analysis.noData.then says."""
    obj, now = low_traffic()
    obj["status"]["checkpoint"]["holds"] = {"noData": render_time(now - 60)}
    for sli in obj["status"]["slis"]:
        sli |= {"verdict": "NO_DATA", "noData": "BothArms"}
    assert "Without data for 9m more, it pauses." in told(obj, now).looks
    obj["status"]["slis"][0]["noData"] = "Stale"
    assert "Without data for 9m more, it goes back." in told(obj, now).looks


def test_headers_that_lead_to_the_candidate_are_named_while_it_has_them() -> None:
    obj, now = scene("5-tier")
    line = "Header x-tier: gold: fraud-v8 has all of these requests."
    assert line in told(obj, now).standing
    assert line not in told({**obj, "status": {**obj["status"], "weight": "0"}}, now).standing


def test_events_without_a_total_are_told_as_more_frequent_and_not_as_a_share() -> None:
    obj, now = low_traffic()
    obj["status"]["slis"][0] |= {
        "rates": {
            "per": "Replicas",
            "candidate": {"events": 7, "exposure": "11520"},
            "legacy": {"events": 1, "exposure": "46800"},
            "worse": "5.7",
            "worseLimit": "5.3",
        }
    }
    found = told(obj, now)
    assert found.waits[0].startswith("errors: an answer to a doubt")
    line = "errors: it is sure that its events are more frequent than 1.25 times legacy's"
    assert f"{line}; the odds are 300 : 1 now, 200 : 1 take it back." in found.reverts


def test_prometheus_that_does_not_answer_has_a_deadline_and_a_place_to_look() -> None:
    obj, now = scene("6-prometheus-down")
    found = told(obj, now)
    assert "Without an answer for 8m more, it pauses, until there is one." in found.looks
    assert not any("undecided" in each for each in found.looks), "nobody has looked at the step"
    assert found.orders[0] == ("see what is known of the metric source", "kubectl describe metricsource default")


def test_before_the_first_step_the_metric_source_is_the_first_place_to_look() -> None:
    obj, now = scene("6-prometheus-down")
    obj = copy.deepcopy(obj)
    obj["status"] |= {"phase": "Preflight", "reason": "MetricsPending"}
    assert told(obj, now).orders[0][1] == "kubectl describe metricsource default"
