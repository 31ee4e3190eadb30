"""Series of single rollouts on `/metrics`: kept as a few numbers each, made into series when somebody asks.

A thousand rollouts are nine thousand series; as objects of the metrics library each costs a kilobyte all the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.core.model import Key, Phase
from modelrollout.core.status import RolloutStatus, SliStatus

RUN = ("rollout_namespace", "rollout")
ARMS = ("legacy", "candidate")


@dataclass(frozen=True, slots=True)
class SliShown:
    """Numbers of one SLI: burn rate (None while unknown), total (None without one) and bad events of legacy and of
    candidate, and the evidence by verdict, in parts of what the verdict takes (none where the arms are not compared).
    """

    name: str
    burn: float | None
    events: tuple[tuple[float | None, float], ...]
    evidence: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one rollout. `weight` is a share (None while unknown), `spent` shares of budgets by SLI."""

    phase: Phase
    weight: float | None
    slis: tuple[SliShown, ...]
    spent: tuple[tuple[str, float], ...]


class RolloutSeries(Collector):
    """Collects the series of every rollout that is shown at the moment of the scrape."""

    def __init__(self) -> None:
        self._shown: dict[Key, Shown] = {}

    def show(self, key: Key, status: RolloutStatus) -> None:
        """Show a rollout with this status from now on."""
        self._shown[key] = Shown(
            phase=status.phase,
            weight=None if status.weight is None else status.weight / 10_000,
            slis=tuple(SliShown(sli.name, sli.burn, _events(sli), _evidence(sli)) for sli in status.slis),
            spent=tuple((s.sli, max(0.0, s.spent) / s.allowed) for s in status.budget if s.allowed),
        )

    def forget(self, key: Key) -> None:
        """Show a rollout no longer."""
        self._shown.pop(key, None)

    def clear(self) -> None:
        """Show no rollout."""
        self._shown.clear()

    def collect(self) -> Iterable[Metric]:
        """The six families, each also without series."""
        phase = GaugeMetricFamily("modelrollout_rollout_phase", "1 for the present phase.", labels=[*RUN, "phase"])
        weight = GaugeMetricFamily(
            "modelrollout_rollout_weight_ratio", "Candidate's share of the traffic.", labels=[*RUN]
        )
        burn = GaugeMetricFamily(
            "modelrollout_sli_burn_rate",
            "Candidate's bad share in multiples of the allowed share, shortest burn window.",
            labels=[*RUN, "sli"],
        )
        events = GaugeMetricFamily(
            "modelrollout_sli_events",
            "Events counted as evidence of the present step.",
            labels=[*RUN, "sli", "arm", "kind"],
        )
        evidence = GaugeMetricFamily(
            "modelrollout_sli_evidence_ratio",
            "Evidence of the comparison of the arms (log of the odds) in parts of what the verdict takes; 1 is enough.",
            labels=[*RUN, "sli", "verdict"],
        )
        spent = GaugeMetricFamily(
            "modelrollout_budget_spent_ratio",
            "Share of what this rollout may cost of the error budget that is spent.",
            labels=[*RUN, "sli"],
        )
        for key, shown in tuple(self._shown.items()):
            run = (key.namespace, key.name)
            for each in Phase:
                phase.add_metric((*run, each.value), float(each is shown.phase))
            if shown.weight is not None:
                weight.add_metric(run, shown.weight)
            for sli in shown.slis:
                if sli.burn is not None:
                    burn.add_metric((*run, sli.name), sli.burn)
                for verdict, part in sli.evidence:
                    evidence.add_metric((*run, sli.name, verdict), part)
                for arm, (total, bad) in zip(ARMS, sli.events, strict=False):
                    if total is not None:
                        events.add_metric((*run, sli.name, arm, "total"), total)
                    events.add_metric((*run, sli.name, arm, "bad"), bad)
            for name, share in shown.spent:
                spent.add_metric((*run, name), share)
        return (phase, weight, burn, events, evidence, spent)


def _events(sli: SliStatus) -> tuple[tuple[float | None, float], ...]:
    """Of legacy and of candidate; none before the first look at an SLI without a total."""
    if sli.rates is not None:
        return ((None, sli.rates.legacy.events), (None, sli.rates.candidate.events))
    if sli.legacy is None or sli.candidate is None:
        return ()
    return tuple((counts.total, counts.bad) for counts in (sli.legacy, sli.candidate))


def _evidence(sli: SliStatus) -> tuple[tuple[str, float], ...]:
    odds, rates = sli.odds, sli.rates
    if rates is not None:
        return (("FAIL", rates.worse / rates.worse_limit),)
    if odds is None:
        return ()
    return (("FAIL", odds.worse / odds.worse_limit), ("PASS", odds.fine / odds.fine_limit))
