"""Counts per tick of recorded samples, by the evidence code's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelrollout.catalog.profiles import Profile
from modelrollout.core.model import RolloutSpec, Sli
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.errors import SpecError
from modelrollout.ports import SourceSpec
from modelrollout.runtime.arms import Split, told_apart
from modelrollout.runtime.profiles import NONE
from modelrollout.sim.counts import ARMS, NO_ROWS, Row
from modelrollout.sim.recorded import plans
from modelrollout.sim.recording import Recording
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.ticks import STALE_SCRAPES, ArmReader, TickCounts, TickGrid


def tally(
    spec: RolloutSpec, recording: Recording, source: SourceSpec, profiles: Mapping[str, Profile] = NONE
) -> Iterator[Row]:
    """A row per tick, arm and SLI that has data. Ticks are as long as the analysis', a scrape interval at least.
    `profiles`: of the cluster, by name.

    Raises SpecError when the recording does not hold what the SLIs count, or for one without a total.
    """
    bare = [sli.name for sli in spec.slis if sli.allowed is None]
    if bare:
        raise SpecError(
            f"SLI {bare[0]!r} has no counts.total, so counts per tick can't hold it; {NO_ROWS}",
            field=f"spec.slis[{bare[0]}].counts.total",
        )
    header = recording.header
    interval = max(spec.analysis.interval, source.scrape_interval or header.scrape)
    grid = TickGrid(header.start, interval)
    slack = STALE_SCRAPES * (source.scrape_interval or header.scrape)
    slis = told_apart(spec, source).slis
    for plan, sli in zip(plans(spec, recording, source, profiles), slis, strict=True):
        yield from _rows(spec, sli, plan, source, recording, grid, slack)


def _rows(
    spec: RolloutSpec,
    sli: Sli,
    plan: SliPlan,
    source: SourceSpec,
    recording: Recording,
    grid: TickGrid,
    slack: float,
) -> Iterator[Row]:
    end = recording.header.end
    stretches = (one.between(recording.header.start - slack, end) for one in recording.series)
    series: list[Series] = [one for one in stretches if one is not None]
    sides = Split.once(series).arms(spec, sli, source)
    known = KnownTargets(one for side in sides for one in side)
    readers = [ArmReader(plan, scrape=slack / STALE_SCRAPES, slack=slack) for _ in ARMS]
    samples = [reader.prepare(side) for reader, side in zip(readers, sides, strict=True)]
    for tick in range(1, grid.last_until(end) + 1):
        for arm, reader, prepared in zip(ARMS, readers, samples, strict=True):
            found = reader.read(prepared, grid.start(tick), grid.end(tick), known=known, judged=lambda target: True)
            if isinstance(found, TickCounts):
                yield Row(grid.end(tick), arm, sli.name, found.n, found.e)
