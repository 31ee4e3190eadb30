"""Series that two scrapers deliver of one and the same address: counted once.

A pod that a PodMonitor and a ServiceMonitor both select is scraped twice, and a store that gathers from two copies of
a Prometheus may hold all of theirs. The series are told apart by labels of the scraper alone, and every request would
count as two: all shares stay as they are, and the comparison believes itself surer than it may.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from modelrollout.core.samples import Series

Place = tuple[str, str, str, str]
"""Where a series comes from, and what it is: `instance`, `namespace`, `pod` and the metric's name."""
SCRAPER = ("job", "prometheus", "prometheus_replica")
"""Labels that say who scraped. `replica` is none of them: servers have it for their own replicas."""


def _scraper(one: Series) -> tuple[str, ...]:
    get = one.labels.get
    return get("job", ""), get("prometheus", ""), get("prometheus_replica", "")


def _place(one: Series) -> Place | None:
    """None without an instance or a pod: several jobs may write there, as by a Pushgateway."""
    get = one.labels.get
    instance, pod = get("instance"), get("pod")
    return (instance, get("namespace", ""), pod, get("__name__", "")) if instance and pod else None


def _single(series: Iterable[Series]) -> bool:
    """Whether nothing is delivered twice: the usual answer, for some ten thousand series a tick."""
    known: dict[Place, tuple[str, ...]] = {}
    for one in series:
        place = _place(one)
        if place is not None:
            scraper = _scraper(one)
            if known.setdefault(place, scraper) != scraper:
                return False
    return True


def counted_once(series: Sequence[Series]) -> Sequence[Series]:
    """`series` without those that another scraper delivers of the same metric and place as well.

    The one that comes first in the alphabet is kept, for each metric by itself: a job may drop some by relabelling.
    """
    if _single(series):
        return series
    kept: dict[Place, tuple[str, ...]] = {}
    for one in series:
        place = _place(one)
        if place is not None:
            scraper = _scraper(one)
            kept[place] = min(kept.get(place, scraper), scraper)
    return [one for one in series if (place := _place(one)) is None or kept[place] == _scraper(one)]


def scrapers(series: Iterable[Series]) -> tuple[str, ...]:
    """Names of those that deliver the same metric of one place, the one that is kept first; empty when there are none.

    A job, with the copy of Prometheus where that is what differs.
    """
    found: dict[Place, set[tuple[str, ...]]] = defaultdict(set)
    for one in series:
        place = _place(one)
        if place is not None:
            found[place].add(_scraper(one))
    several = sorted({scraper for each in found.values() if len(each) > 1 for scraper in each})
    return tuple("/".join(part for part in scraper if part) for scraper in several)
