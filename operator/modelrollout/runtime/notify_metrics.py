"""What the operator says of its notifications on `/metrics`; labels are names of the admin's file and words of ours."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge

RESULTS = ("sent", "failed", "dropped")


class NotifyMetrics:
    """Counts deliveries by target and kind, and says whether the file is good."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "modelrollout_notifications",
            "Notifications by what became of them.",
            ["target", "kind", "result"],
            registry=registry,
        )
        self._attempts = Counter(
            "modelrollout_notification_attempts",
            "Requests to a notification target, by answer.",
            ["target", "kind", "answer"],
            registry=registry,
        )
        self._waiting = Gauge(
            "modelrollout_notification_queue_length",
            "Notifications that wait to be sent.",
            ["target", "kind"],
            registry=registry,
        )
        self._file = Gauge(
            "modelrollout_notify_file_valid",
            "1 while the notification file is good, or none is given.",
            registry=registry,
        )
        self._file.set(1)
        self._answers: dict[tuple[str, str], set[str]] = {}

    def attempt(self, target: str, kind: str, answer: str) -> None:
        """A request ended with this answer."""
        self._answers.setdefault((target, kind), set()).add(answer)
        self._attempts.labels(target, kind, answer).inc()

    def ended(self, target: str, kind: str, result: str) -> None:
        """A notification is `sent`, `failed` or `dropped`."""
        self._ended.labels(target, kind, result).inc()

    def waiting(self, target: str, kind: str, length: int) -> None:
        """So many wait; from the first time on every result has a series, so that its increase can be seen."""
        self._waiting.labels(target, kind).set(length)
        for result in RESULTS:
            self._ended.labels(target, kind, result)

    def forget(self, target: str, kind: str) -> None:
        """Remove the series of a target that is gone."""
        with suppress(KeyError):
            self._waiting.remove(target, kind)
        for result in RESULTS:
            with suppress(KeyError):
                self._ended.remove(target, kind, result)
        for answer in self._answers.pop((target, kind), ()):
            self._attempts.remove(target, kind, answer)

    def file(self, *, good: bool) -> None:
        """The file could be read, or not."""
        self._file.set(1 if good else 0)
