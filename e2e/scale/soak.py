"""`make soak`: an operator under churn for hours: does it grow, forget anything, or leave a rollout stuck.

A real API server and a real Prometheus, both restarted on the way. Rollouts are made, promoted, reverted, aborted,
retried, edited and deleted without a pause. Exit 1 when an aim is missed, 2 when it can't be run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from e2e.cluster.artifacts import BuildError
from e2e.cluster.processes import ClusterError
from e2e.cluster.prometheus import PrometheusFailed
from e2e.scale.__main__ import machine
from e2e.scale.lives import KINDS
from e2e.scale.process import Operator
from e2e.scale.slot import Slot, Tally
from e2e.scale.town import Town
from e2e.scale.verdict import Lag, Sample, Soaked, more, table
from e2e.scale.world import World, load, world
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import ROLLOUTS

OUT = Path("e2e-artifacts/soak/results.json")
EVERY = 15.0
"""Seconds between samples."""
SHOWN = 300.0
"""Seconds between two lines of progress."""
AWAY = 1200.0
"""Seconds between two restarts of the API server."""
AWAY_FOR = 15.0
"""Seconds that each takes at least: longer than the Lease lasts without being renewed."""
DARK = 20.0
"""Seconds without Prometheus, once."""
WEIGHT = 1e-6
PHASE, SHARE, BUGS = "modelrollout_rollout_phase", "modelrollout_rollout_weight_ratio", "modelrollout_bugs_total"


class Soak:
    """One run."""

    def __init__(self, around: World, operator: Operator, seconds: float, out: Path, *, away: float = AWAY) -> None:
        """`away`: seconds between two restarts of the API server."""
        self._world, self._operator = around, operator
        self._seconds, self._out, self._away = seconds, out, away
        self._tally = Tally()
        self.seen = Soaked(seconds, waits=self._tally.waits, lives=self._tally.lives, stuck=self._tally.stuck)
        self._lags = {
            name: Lag()
            for name in ("gone, but on /metrics", "there, but not on /metrics", "other on /metrics", "spec not read")
        }
        self._outages: list[str] = []
        self._begun = time.monotonic()
        self._town: Town

    async def run(self, rollouts: int) -> Soaked:
        """All of it."""
        async with await KubeClient.connect(self._world.api.kubeconfig, manager="soak") as client:
            self._town = town = Town(self._world.api.kubeconfig, client, self._world.exporter)
            await town.start()
            lives = [asyncio.create_task(Slot(index, town, self._tally, KINDS).run()) for index in range(rollouts)]
            try:
                await self._watch(lives)
            finally:
                for task in lives:
                    task.cancel()
                await asyncio.gather(*lives, return_exceptions=True)
                await town.stop()
        return self.seen

    async def _watch(self, lives: list[asyncio.Task[None]]) -> None:
        self._begun = time.monotonic()
        away = min(self._away, self._seconds / 2)
        next_away, next_shown = away, 0.0
        dark = 0.4 * self._seconds
        while (now := self._now()) < self._seconds:
            for task in lives:
                if task.done():
                    task.result()
            if now >= next_away:
                self._restart_api()
                next_away += away
            if dark and now >= dark:
                dark = 0.0
                await self._restart_prometheus()
            if not self._operator.alive():
                self.seen.restarts += 1
                print(f"the operator ended:\n{self._operator.tail()}", file=sys.stderr, flush=True)
                self._operator.start()
            await asyncio.to_thread(self._sample)
            if now >= next_shown:
                next_shown = now + SHOWN
                self._count()
                self._show()
            await asyncio.sleep(EVERY)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _count(self) -> None:
        """Keep what was counted when asked last, which is `SHOWN` seconds ago, and ask again."""
        if (census := self._operator.count()) is not None:
            self.seen.censuses.append((round(self._now() - SHOWN, 1), census))

    def _restart_api(self) -> None:
        begun = time.monotonic()
        # In this thread, as the processes end with the one that starts them. So all lives stand still meanwhile.
        with self._world.api.outage():
            time.sleep(AWAY_FOR)
        self._outages.append(f"API server away for {time.monotonic() - begun:.0f} s")

    async def _restart_prometheus(self) -> None:
        begun = time.monotonic()
        self._world.prometheus.stop()
        await asyncio.sleep(DARK)
        self._world.prometheus.start()
        self._outages.append(f"Prometheus away for {time.monotonic() - begun:.0f} s")

    def _sample(self) -> None:
        operator, seen = self._operator, self.seen
        text = operator.metrics()
        now = self._town.patience.now
        if text is None:
            return
        phases: dict[str, str] = {}
        shares: dict[str, float] = {}
        series = others = 0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if "rollout" not in sample.labels:
                    others += 1
                    seen.bugs = sample.value if sample.name == BUGS else seen.bugs
                    continue
                series += 1
                key = f"{sample.labels['rollout_namespace']}/{sample.labels['rollout']}"
                if sample.name == PHASE and sample.value:
                    phases[key] = sample.labels["phase"]
                elif sample.name == SHARE:
                    shares[key] = sample.value
        self._compare(now, phases, shares)
        usage = operator.usage
        process = Path(f"/proc/{operator.pid}")
        live = sum(place[0] is ROLLOUTS for place in list(self._town.mirror.objects))
        files, threads = len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
        seen.samples.append(
            Sample(
                round(self._now(), 1),
                round(usage.rss(), 2),
                files,
                threads,
                round(usage.cpu(), 2),
                series,
                others,
                len(phases),
                live,
            )
        )

    def _compare(self, now: float, phases: dict[str, str], shares: dict[str, float]) -> None:
        """What /metrics shows against what the API server has."""
        stored = {
            f"{place[1]}/{place[2]}": body
            for place, body in list(self._town.mirror.objects.items())
            if place[0] is ROLLOUTS
        }
        missing, other, unread = [], [], []
        for key, body in stored.items():
            status = body.get("status") or {}
            if status.get("observedGeneration") != body["metadata"]["generation"]:
                unread.append(key)
            # A new object has a status without a phase until the operator has looked at it.
            if "phase" in status and key not in phases:
                missing.append(key)
            elif "phase" in status:
                weight = float(status.get("weight") or 0.0) / 100.0
                if phases[key] != status.get("phase") or abs(shares.get(key, 0.0) - weight) > WEIGHT:
                    other.append(key)
        wrong = ([key for key in phases if key not in stored], missing, other, unread)
        for (name, lag), found in zip(self._lags.items(), wrong, strict=True):
            lag.look(now, found)
            self.seen.lags[name] = lag.longest

    def _show(self) -> None:
        seen = self.seen
        seen.stood, seen.outages = self._town.patience.stood, self._outages
        seen.broken = self._operator.broken()
        if seen.samples:
            last = seen.samples[-1]
            print(
                f"{self._now() / 60:4.0f} of {self._seconds / 60:.0f} min: {sum(seen.lives.values())} lives, "
                f"{len(seen.stuck)} stuck; {last.live} rollouts, {last.rss:.0f} MiB, {last.files} files, "
                f"{last.threads} threads, {last.series + last.others} series; load {load()}",
                flush=True,
            )
        self._out.write_text(json.dumps({"machine": machine(), "ran": round(self._now()), **asdict(seen)}) + "\n")

    def close(self) -> None:
        """The last words."""
        self._show()


def main(arguments: list[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--rollouts", type=int, default=60, help="slots; each has one rollout most of the time")
    parser.add_argument("--away", type=float, default=AWAY, help="seconds between two restarts of the API server")
    parser.add_argument("--json", type=Path, default=OUT, help="file of all samples, and beside it the log")
    given = parser.parse_args(arguments)
    if given.hours <= 0 or given.rollouts < 1 or given.away < 2 * AWAY_FOR:
        parser.error(f"--hours must be more than 0, --rollouts 1 or more and --away {2 * AWAY_FOR:g} or more")
    print(machine(), flush=True)
    try:
        seen = _soak(given.rollouts, given.hours * 3600.0, given.json, given.away)
    except (BuildError, ClusterError, PrometheusFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shown = table(seen)
    print(shown.markdown())
    for line in (*seen.stuck, *seen.broken):
        print(line)
    print(more(seen).markdown())
    print("\n".join(["aims missed:", *shown.missed]) if shown.missed else "every aim reached")
    return 1 if shown.missed else 0


def _soak(rollouts: int, seconds: float, out: Path, away: float) -> Soaked:
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_suffix(".log")
    for old in (log, out.with_suffix(".census.json")):
        old.unlink(missing_ok=True)
    with world(rollouts, 1, audit=False) as around:
        operator = Operator(around.api.kubeconfig, log, "soaked", census=out.with_suffix(".census.json"))
        soak = Soak(around, operator, seconds, out, away=away)
        try:
            operator.start()
            return asyncio.run(soak.run(rollouts))
        finally:
            soak.close()
            operator.stop()


if __name__ == "__main__":
    sys.exit(main())
