"""What the operator says about itself on `/metrics`. Every metric is listed in docs/reference/metrics.md (tested).

Labels are bounded: namespace and name of live rollouts, SLI names, and words of this code; never text of a user or of a
server. Series of a rollout that is gone are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout import __version__
from modelrollout.core.intents import Decision
from modelrollout.core.model import Key
from modelrollout.runtime.commit import Committed
from modelrollout.runtime.gather import Gathered
from modelrollout.runtime.queue import Priority, WorkQueue
from modelrollout.runtime.series import RolloutSeries

SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """The operator's own metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._build = Gauge("modelrollout_build_info", "Version of the operator.", ["version"], registry=registry)
        self._build.labels(__version__).set(1)
        self._reconciles = Counter(
            "modelrollout_reconciles", "Looks at a rollout, by how they ended.", ["outcome"], registry=registry
        )
        self._duration = Histogram(
            "modelrollout_reconcile_duration_seconds", "Time of one look.", buckets=SECONDS, registry=registry
        )
        self._waited = Histogram(
            "modelrollout_queue_wait_seconds",
            "Time from ready to taken by a worker.",
            ["priority"],
            buckets=SECONDS,
            registry=registry,
        )
        self._wake_late = Histogram(
            "modelrollout_queue_wake_lateness_seconds",
            "How late a planned look became ready.",
            buckets=SECONDS,
            registry=registry,
        )
        self._leader = Gauge("modelrollout_leader", "1 while this replica holds the Lease.", registry=registry)
        self._evaluation_late = Histogram(
            "modelrollout_evaluation_lateness_seconds",
            "Time from the moment a tick could be read to its evidence being ready.",
            buckets=SECONDS,
            registry=registry,
        )
        self._queries = Histogram(
            "modelrollout_metric_read_duration_seconds",
            "Time of one read of a metric source, by what came of it.",
            ["source", "result"],
            buckets=SECONDS,
            registry=registry,
        )
        self._asked = Counter(
            "modelrollout_metric_queries", "Queries sent to a metric source.", ["source"], registry=registry
        )
        self._lag = Histogram(
            "modelrollout_event_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=SECONDS,
            registry=registry,
        )
        self._drift = Gauge(
            "modelrollout_watch_drift_objects",
            "Objects that the last full LIST showed and the watch had not, or the other way round.",
            registry=registry,
        )
        self._resync = Gauge(
            "modelrollout_last_resync_timestamp_seconds", "When the last full LIST succeeded.", registry=registry
        )
        self._watch_failures = Counter(
            "modelrollout_watch_failures", "Times that the watch ended and was begun anew.", registry=registry
        )
        self._bugs = Counter(
            "modelrollout_bugs",
            "Looks that failed by an error nobody foresaw: the rollout is frozen.",
            registry=registry,
        )
        self._decisions = Counter(
            "modelrollout_decisions",
            "Persisted decisions that moved traffic or changed the phase.",
            ["action", "reason"],
            registry=registry,
        )
        self._rollouts = RolloutSeries()
        registry.register(self._rollouts)

    def watch_queue(self, queue: WorkQueue) -> None:
        """Export depth and age of the queue, read at scrape time."""
        self.registry.register(_QueueMetrics(queue))

    def watch_freshness(self, age: Callable[[], float]) -> None:
        """Export the seconds since the watch last showed a sign of life, read at scrape time."""
        self.registry.register(
            _Value("modelrollout_watch_age_seconds", "Seconds since the last event or full LIST.", age)
        )

    def reconciled(self, outcome: str, seconds: float) -> None:
        """One look ended."""
        self._reconciles.labels(outcome).inc()
        self._duration.observe(seconds)

    def waited(self, priority: str, seconds: float) -> None:
        """A key was taken after waiting."""
        self._waited.labels(priority).observe(seconds)

    def woke(self, late: float) -> None:
        """A planned look became ready."""
        self._wake_late.observe(late)

    def leading(self, leading: bool) -> None:
        """Leadership was won or lost. A standby shows no rollouts: two replicas would contradict each other."""
        self._leader.set(1 if leading else 0)
        if not leading:
            self._rollouts.clear()

    def evaluated(self, late: float) -> None:
        """A tick became evidence."""
        self._evaluation_late.observe(late)

    def asked(self, source: str, *, queries: int, result: str, seconds: float) -> None:
        """A read of a metric source ended; `result` is `ok` or a class of failure."""
        self._queries.labels(source, result).observe(seconds)
        self._asked.labels(source).inc(queries)

    def lag(self, seconds: float) -> None:
        """The loop ran a timer this much too late."""
        self._lag.observe(seconds)

    def resynced(self, drift: int, at: float) -> None:
        """A full LIST succeeded."""
        self._drift.set(drift)
        self._resync.set(at)

    def watch_failed(self) -> None:
        """The watch ended and is begun anew."""
        self._watch_failures.inc()

    def bug(self) -> None:
        """A look failed by an unforeseen error."""
        self._bugs.inc()

    def decided(self, seen: Gathered, decision: Decision, committed: Committed) -> None:
        """Show a rollout as decided; decisions are counted once they are stored."""
        if committed.wrote_status:
            known = {(r.at, r.action, r.reason) for r in (seen.obj.status.decisions if seen.obj.status else ())}
            for record in decision.status.decisions:
                if (record.at, record.action, record.reason) not in known:
                    self._decisions.labels(record.action, record.reason).inc()
        if committed.obj is not None:
            self._rollouts.show(seen.obj.key, decision.status)

    def forget(self, key: Key) -> None:
        """Remove every series of a rollout."""
        self._rollouts.forget(key)


class _QueueMetrics(Collector):
    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("modelrollout_queue_depth", "Rollouts ready to be looked at.", labels=["priority"])
        for priority in Priority:
            depth.add_metric([priority.name.lower()], self._queue.depth(priority))
        yield depth
        yield GaugeMetricFamily(
            "modelrollout_queue_oldest_age_seconds",
            "Time that the oldest ready rollout has waited.",
            value=self._queue.oldest_age(),
        )
        yield GaugeMetricFamily(
            "modelrollout_queue_delayed", "Rollouts with a planned look.", value=self._queue.delayed
        )


class _Value(Collector):
    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(self._name, self._text, value=self._read())
