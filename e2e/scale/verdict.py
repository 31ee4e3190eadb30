"""What a soak has shown: samples of the operator over hours, and whether anything grew, got lost or got stuck. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.scale.census import Census, grown
from e2e.scale.figures import quantile
from e2e.scale.trend import Trend, second_half, trend
from e2e.stats.tables import Table

MEMORY = 2.0
"""MiB an hour, the most that the operator may grow. A leak of 1 KiB in each life of a rollout is about as much, at two
thousand lives an hour; with less an operator grows by 50 MiB a day, under a churn that few clusters have."""
FILES = 2.0
THREADS = 1.0
OTHERS = 500
"""Series on /metrics that are of no rollout, at most: words appear when first used, some hours later too, but there are
only so many. One more in each life of a rollout would be thousands."""
LAGS = 60.0
"""Seconds for which /metrics may show what the API server does not have: some looks, not a full list."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The operator at a moment, seconds since the beginning. Memory in MiB.

    `series`: on /metrics, of rollouts; `others`: all else. `shown`: rollouts that have series.
    """

    at: float
    rss: float
    files: int
    threads: int
    cpu: float
    series: int
    others: int
    shown: int
    live: int


@dataclass(slots=True)
class Soaked:
    """All that was seen. Lags: the longest time in seconds, and of what."""

    seconds: float
    samples: list[Sample] = field(default_factory=list)
    lags: dict[str, tuple[float, str]] = field(default_factory=dict)
    waits: Mapping[str, Sequence[float]] = field(default_factory=dict)
    lives: Mapping[str, int] = field(default_factory=dict)
    stuck: Sequence[str] = ()
    restarts: int = 0
    broken: Sequence[str] = ()
    """Lines of the log that no operator in order writes."""
    bugs: float = 0.0
    stood: float = 0.0
    outages: Sequence[str] = ()
    censuses: list[tuple[float, Census]] = field(default_factory=list)
    """What the memory held, at seconds since the beginning."""

    def trend(self, of: Callable[[Sample], float]) -> Trend | None:
        """Growth of a figure over the second half."""
        return trend(second_half([(sample.at, of(sample)) for sample in self.samples]))


GROWTH: Mapping[str, tuple[Callable[[Sample], float], float]] = {
    "resident memory, MiB": (lambda sample: sample.rss, MEMORY),
    "open files": (lambda sample: float(sample.files), FILES),
    "threads": (lambda sample: float(sample.threads), THREADS),
}
NOTHING = ("rollouts stuck", "restarts of the process", "errors in the log", "looks that failed by a bug")


def table(seen: Soaked) -> Table:
    """What was found; `missed` names what is wrong."""
    outages = "; ".join(seen.outages) or "no outage"
    made = Table(
        "soak",
        f"{seen.seconds / 3600:.1f} hours of churn: {sum(seen.lives.values())} lives, {outages}",
        ("", "measured", "95 %", "aim", "met"),
        note=f"Growth is that of the second half. The harness stood still for {seen.stood:.0f} s, which count nowhere.",
    )
    for name, (of, most) in GROWTH.items():
        found = seen.trend(of)
        values = [of(sample) for sample in seen.samples]
        if values:
            made.add(f"{name}: first, last, most", f"{values[0]:.0f}, {values[-1]:.0f}, {max(values):.0f}", "", "")
        if found is None:
            made.add(f"{name}, growth an hour", "too short to tell", "", most)
        else:
            bounds = f"{found.low:.2f} to {found.high:.2f}"
            made.add(f"{name}, growth an hour", round(found.hourly, 2), bounds, most, reached=found.hourly <= most)
    counts = (len(seen.stuck), seen.restarts, len(seen.broken), seen.bugs)
    for name, count in zip(NOTHING, counts, strict=True):
        made.add(name, count, "", 0, reached=count == 0)
    for name, (longest, what) in sorted(seen.lags.items()):
        made.add(
            f"{name}, longest, s", f"{longest:.0f} ({what})" if longest else "0", "", LAGS, reached=longest <= LAGS
        )
    others = max((sample.others for sample in seen.samples), default=0)
    made.add("most series of no rollout", others, "", OTHERS, reached=others <= OTHERS)
    made.add("most series of rollouts", max((sample.series for sample in seen.samples), default=0), "", "")
    made.add("rollouts, mean", round(_mean([float(sample.live) for sample in seen.samples]), 1), "", "")
    if len(seen.samples) > 1:
        first, last = seen.samples[0], seen.samples[-1]
        made.add("cores, mean", round((last.cpu - first.cpu) / (last.at - first.at), 3), "", "")
    for name, count in sorted(seen.lives.items()):
        made.add(f"lives: {name}", count, "", "")
    for name, waits in sorted(seen.waits.items()):
        ordered = sorted(waits)
        shown = f"{quantile(ordered, 0.5):.0f}, {quantile(ordered, 0.99):.0f}, {ordered[-1]:.0f} of {len(ordered)}"
        made.add(f"until {name}: median, 99 %, most, s", shown, "", "")
    return made


def more(seen: Soaked) -> Table:
    """What the memory held at half time and at the end: where growth comes from, if there is any. No aims."""
    made = Table("memory", "What the memory held", ("", "at half time", "at the end"))
    later = [census for at, census in seen.censuses if at >= seen.seconds / 2]
    if len(later) > 1:
        first, last = later[0], later[-1]
        made.add("blocks of Python in use, thousands", round(first.blocks / 1e3), round(last.blocks / 1e3))
        for name in ("used", "kept", "mapped"):
            made.add(f"heap of the C library, {name}, MiB", getattr(first, name), getattr(last, name))
        for name, before, after in grown(first, last):
            made.add(name, before, after)
    return made


class Lag:
    """For how long each of some things has not been as it should: `longest` of all."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.longest = (0.0, "")

    def look(self, now: float, wrong: Sequence[str]) -> None:
        """These are wrong now, all others right."""
        self._since = {what: self._since.get(what, now) for what in wrong}
        for what, since in self._since.items():
            if now - since > self.longest[0]:
                self.longest = (now - since, what)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
