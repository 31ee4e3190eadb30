"""What `make bench-evidence` serves is what its rollouts count: every pod, every SLI, both arms."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from e2e.evidence.exporter import shard
from e2e.evidence.fleet import PODS, plan_of, pods, slis, spec_of
from e2e.scale.counters import Counters
from modelrollout.core.samples import Series
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.runtime.arms import Split
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.ticks import ArmReader, TickCounts


def scraped(served: Counters, at: float) -> list[Series]:
    families = text_string_to_metric_families(served.text().decode())
    return [
        Series.of({"__name__": s.name, **s.labels}, ((at, s.value),)) for family in families for s in family.samples
    ]


def test_every_sli_counts_events_of_both_arms() -> None:
    spec, served = spec_of(3), shard(pods(3), seed=1)
    served._looked -= 60.0
    series = scraped(served, 10.0)
    assert len({plan_of(sli).metrics for sli in slis()}) == len(slis()) == 4
    for sli in slis():
        for arm in Split(series).arms(spec, sli, SourceSpec("bench", ArmsByPod(), 5.0)):
            ups = [one for one in arm if one.labels["__name__"] == "up"]
            assert len(ups) == PODS
            # A scrape before without any of the counters: what they hold is new.
            earlier = [Series.of(one.labels, ((5.0, 1.0), *one.samples)) for one in ups]
            both = (*earlier, *(one for one in arm if one not in ups))
            reader = ArmReader(plan_of(sli), scrape=5.0, slack=15.0)
            tick = reader.read(reader.prepare(both), 5.0, 10.0, known=KnownTargets(both), judged=lambda _: True)
            assert isinstance(tick, TickCounts)
            assert tick.n > tick.e >= 0
            assert tick.n > 100
