"""The metrics of a model server: the instrumentation contract, and nothing the operator must guess.

`requests_total` counts answered predictions only (200, 500, 503). Mistakes of clients (malformed JSON, wrong
type, too large) never reach the model and go to `requests_rejected_total`; feedback, probes and scrapes are
not requests to the model. `latency_seconds` observes successes only, so
slow = requests_total - latency_seconds_bucket{le="<SLO>"} counts every failure as slow.
"""

from collections.abc import Sequence

from e2e.models.cohorts import Cohorts
from e2e.models.exposition import Histogram, Scalar, render

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
SCORE_BINS = 10
MAX_VERSIONS = 16
MAX_STEPS = 64
DEFAULT_STEP = "0"


def score_bin(score: float) -> str:
    """Return the bin `0`..`9` of a score in [0, 1]: bin i holds [i/10, (i+1)/10), the last one also 1."""
    return str(min(SCORE_BINS - 1, int(score * SCORE_BINS)))


class Telemetry:
    """All families of one server; `version` is its own, `peers` are versions whose labels it may receive."""

    def __init__(
        self, version: str, *, peers: Sequence[str] = (), started: float, cohorts: Cohorts | None = None
    ) -> None:
        self.version = version
        self.cohorts = cohorts or Cohorts()
        self.requests = Scalar(
            "counter", "requests_total", "Predictions answered, by HTTP code.", labels=("version", "code")
        )
        self.latency = Histogram(
            "latency_seconds",
            "Time to answer a prediction, successful ones only.",
            bounds=LATENCY_BOUNDS,
            labels=("version",),
        )
        self.labeled = Scalar(
            "counter",
            "predictions_labeled_total",
            "Predictions whose true label is known, by the version that predicted.",
            labels=("version", "step", "cohort", "correct"),
        )
        self.predictions = Scalar(
            "counter",
            "predictions_total",
            "Predictions that may get a label, by the time they were made.",
            labels=("version", "cohort"),
        )
        self.buckets = Scalar(
            "counter",
            "prediction_bucket_total",
            "Predictions by tenth of the score.",
            labels=("version", "bin"),
        )
        self.rejected = Scalar(
            "counter",
            "requests_rejected_total",
            "Requests refused as the client's mistake.",
            labels=("version", "reason"),
        )
        self.unmatched = Scalar(
            "counter", "feedback_unmatched_total", "Labels that fit no known prediction or came twice."
        )
        self.cold = Scalar("counter", "cold_starts_total", "Predictions slowed by a cold start.", labels=("version",))
        self.in_flight = Scalar("gauge", "requests_in_flight", "Predictions being answered now.")
        self.start = Scalar("gauge", "process_start_time_seconds", "Start of the process, Unix time.")
        self.start.put(value=started)
        for code in ("200", "500"):
            self.requests.child(version, code)
        for index in range(SCORE_BINS):
            self.buckets.child(version, str(index))
        self.latency.child(version)
        self.cold.child(version)
        self.in_flight.child()
        self.unmatched.child()
        self._children: set[tuple[str, str]] = set()
        for name in {version, *peers}:
            self.label_children(name, DEFAULT_STEP)

    def label_children(self, version: str, step: str) -> bool:
        """Make both children of a version's step; False when it would be one too many (labels come from clients)."""
        if (version, step) in self._children:
            return True
        versions = {name for name, _ in self._children} | {version}
        steps = {name for _, name in self._children} | {step}
        if len(versions) > MAX_VERSIONS or len(steps) > MAX_STEPS:
            return False
        self._children.add((version, step))
        for correct in ("true", "false"):
            self.labeled.child(version, step, "", correct)
        return True

    def text(self) -> str:
        """Return the scrape; cohorts that are old are in none any more."""
        for family in (self.labeled, self.predictions):
            family.drop("cohort", lambda cohort: not self.cohorts.exposed(cohort))
        return render(
            [
                self.requests,
                self.latency,
                self.labeled,
                self.predictions,
                self.buckets,
                self.rejected,
                self.unmatched,
                self.cold,
                self.in_flight,
                self.start,
            ]
        )
