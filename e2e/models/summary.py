"""What a load run looked like in its last seconds. Pure, over records."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from e2e.models.records import Record, quantile


def summarise(records: Iterable[Record], *, now: float, window: float) -> dict[str, Any]:
    """Return counts, shares, error ratios and latencies of what ended in (now - window, now].

    `versions` holds who answered: `share` is of all answers, `p50` and `p95` are seconds of the successes,
    ratios and quantiles are None without data. `unanswered` counts by kind what nobody of either arm
    answered. `late_p99` is how late the client itself was: if it is not small, it is the client that is slow.
    """
    ended = [r for r in records if now - window < r.end <= now]
    sent = [r for r in ended if r.kind != "shed"]
    answered = [r for r in sent if r.version is not None]
    versions = sorted({r.version for r in answered if r.version is not None})
    return {
        "now": now,
        "window": window,
        "requests": len(sent),
        "rate": len(sent) / window,
        "failed": sum(r.failed for r in sent),
        "shed": len(ended) - len(sent),
        "late_p99": quantile((r.start - r.scheduled for r in sent), 0.99),
        "versions": {v: _version([r for r in answered if r.version == v], len(answered)) for v in versions},
        "unanswered": dict(Counter(r.kind for r in sent if r.version is None)),
    }


def _version(mine: list[Record], answers: int) -> dict[str, Any]:
    good = [r for r in mine if not r.failed]
    seconds = [r.seconds for r in good]
    errors = len(mine) - len(good)
    return {
        "answers": len(mine),
        "share": len(mine) / answers,
        "errors": errors,
        "errorRatio": errors / len(mine),
        "p50": quantile(seconds, 0.50),
        "p95": quantile(seconds, 0.95),
        "accuracy": sum(r.predicted == r.label for r in good) / len(good) if good else None,
        "users": len({r.user for r in mine}),
        "pods": sorted({r.pod for r in mine if r.pod is not None}),
    }
