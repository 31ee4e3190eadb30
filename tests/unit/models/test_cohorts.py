"""Cohorts of predictions: counted twice with the same label, exposed for a while, never made up by clients."""

import time
from dataclasses import dataclass

import pytest

from e2e.models.cohorts import LATE, Cohorts
from e2e.models.feedback import Feedback
from e2e.models.telemetry import Telemetry
from tests.unit.models.conftest import StartServer, value


@dataclass
class Clock:
    now: float = 1_700_000_050.0

    def __call__(self) -> float:
        return self.now


def test_a_cohort_is_the_start_of_its_bucket() -> None:
    clock = Clock()
    cohorts = Cohorts(60, keep=300.0, clock=clock)
    assert cohorts.present() == "1700000040"
    assert cohorts.counted("1700000040") == "1700000040"
    clock.now += 291
    assert cohorts.counted("1700000040") == LATE


@pytest.mark.parametrize("made_up", ["1700000041", "1700000100", "17", "x"])
def test_clients_make_no_cohorts(made_up: str) -> None:
    assert Cohorts(60, keep=300.0, clock=Clock()).counted(made_up) == LATE


def test_without_cohorts_there_are_none() -> None:
    assert Cohorts().present() == ""
    assert Cohorts().counted("1700000040") == ""
    assert Cohorts(60, clock=Clock()).counted("") == ""


def test_a_cohort_must_outlive_its_bucket() -> None:
    with pytest.raises(ValueError, match="can't be kept for 60 s"):
        Cohorts(60, keep=60.0)


def test_old_cohorts_leave_the_scrape_and_their_labels_still_count() -> None:
    clock = Clock()
    telemetry = Telemetry("8", started=clock.now, cohorts=Cohorts(60, keep=300.0, clock=clock))
    feedback = Feedback(telemetry)
    item = {"label": 1, "predicted": 1, "version": "8", "cohort": "1700000040"}
    telemetry.predictions.add("8", "1700000040")
    feedback.take({"id": "1", **item})
    child = '{version="8",step="0",cohort="1700000040",correct="true"} 1\n'
    assert "predictions_labeled_total" + child in telemetry.text()
    assert 'predictions_total{version="8",cohort="1700000040"} 1\n' in telemetry.text()
    clock.now += 300
    feedback.take({"id": "2", **item})
    text = telemetry.text()
    assert "1700000040" not in text
    assert 'predictions_labeled_total{version="8",step="0",cohort="0",correct="true"} 1\n' in text


def test_prediction_and_label_carry_the_same_cohort(
    start_server: StartServer, held: list[tuple[list[float], int]]
) -> None:
    server = start_server("better", COHORT_SECONDS="3600", COHORT_KEEP="7200")
    _, answer, headers = server.predict(held[0][0])
    cohort = headers["x-cohort"]
    assert time.time() - 7200 < int(cohort) <= time.time()
    assert value(server, "predictions_total", version="8", cohort=cohort) == 1
    by_id = {"id": "a", "label": answer["label"]}
    by_all = {"id": "b", "label": 1, "predicted": 0, "version": "7", "cohort": cohort}
    assert server.call("POST", "/feedback", [by_id, by_all])[1] == {"counted": 2, "unmatched": 0}
    name = "predictions_labeled_total"
    assert value(server, name, version="8", step="0", cohort=cohort, correct="true") == 1
    assert value(server, name, version="7", step="0", cohort=cohort, correct="false") == 1


def test_a_cohort_that_is_no_time_is_refused(start_server: StartServer) -> None:
    server = start_server("better", COHORT_SECONDS="3600", COHORT_KEEP="7200")
    item = {"id": "x", "label": 1, "predicted": 1, "version": "8", "cohort": "monday"}
    assert server.call("POST", "/feedback", item)[0] == 400
