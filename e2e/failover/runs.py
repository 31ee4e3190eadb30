"""The misfortunes: each befalls the leader of a release while a rollout is under way and people use it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.cluster.embedded import EmbeddedCluster
from e2e.failover.figures import Run
from e2e.installed import HOME, Release
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, LEGACY, QUICK, arms, hold_at
from e2e.stage import Load, Stage, until

WEIGHT = 25
RATE = 100.0
CLIMB: Sequence[Mapping[str, Any]] = (
    {"weight": WEIGHT, "minDuration": "20s"},
    {"weight": 50, "minDuration": "1h"},
    {"weight": 100, "minDuration": "1h"},
)
"""A raise is due soon: a leader that was frozen means to make it when it goes on."""
LINGER = 10.0
"""Seconds for which a leader that goes on is watched."""


class Play:
    """One namespace with both arms under traffic, and rollouts between them one after the other."""

    def __init__(self, cluster: EmbeddedCluster, release: Release, directory: Path) -> None:
        self.cluster, self.release = cluster, release
        self.stage = Stage(cluster, "failover", directory, told=release.logs)

    def open(self) -> Load:
        """Deploy both arms and start the load."""
        self.stage.create()
        self.stage.deploy(*arms(self.stage))
        return self.stage.load(RATE, duration=7200)

    def killed(self) -> Run:
        """SIGKILL; kubelet starts the process again in the same pod."""
        with self._at(CLIMB) as (leader, watched):
            at = self.release.signal(leader, signal.SIGKILL)
            self._reverted()
        return self._run("killed", leader, at, watched)

    def lost(self) -> Run:
        """SIGKILL, and nobody there who starts the process again: as if the node were gone."""
        with self._at(CLIMB) as (leader, watched):
            self.cluster.signal("kubelet", signal.SIGSTOP)
            try:
                at = self.release.signal(leader, signal.SIGKILL)
                self._reverted()
            finally:
                self.cluster.signal("kubelet", signal.SIGCONT)
        return self._run("lost", leader, at, watched)

    def frozen(self) -> Run:
        """SIGSTOP until the standby has acted, then SIGCONT."""
        with self._at(CLIMB) as (leader, watched):
            at = self.release.signal(leader, signal.SIGSTOP)
            try:
                self._reverted()
            finally:
                resumed = self.release.signal(leader, signal.SIGCONT)
            time.sleep(LINGER)
        return self._run("frozen", leader, at, watched, resumed=resumed)

    def upgraded(self) -> Run:
        """`helm upgrade` that replaces both pods; the rollout stays at its weight."""
        with self._at(hold_at(WEIGHT)) as (leader, watched):
            at = time.time()
            self.release.upgrade(f"--set podAnnotations.at=at-{at:.0f}")
            self.release.led()
        return self._run("upgraded", leader, at, watched)

    @contextmanager
    def _at(self, wanted: Sequence[Mapping[str, Any]]) -> Any:
        """Take a rollout to WEIGHT; afterwards remove it and wait until both replicas are well."""
        stage = self.stage
        self._well()
        stage.behave(CANDIDATE, errors=0)
        made = stage.rollout(legacy=LEGACY, candidate=CANDIDATE, steps=wanted, slis=[ERRORS], analysis=dict(QUICK))
        stage.apply(made)
        stage.wait_weight(WEIGHT, seconds=120)
        stage.wait_route([[100 - WEIGHT, WEIGHT]], seconds=10)
        leader = self.release.led()
        with stage.watched_weights() as watched:
            yield leader, watched
        stage.kubectl("delete", "modelrollout", "tumour", "--timeout=90s")

    def _reverted(self) -> None:
        self.stage.behave(CANDIDATE, errors=0.3)
        self.stage.wait_route([[100, 0]], seconds=90)
        self.stage.wait_phase("RolledBack", seconds=30)

    def _well(self) -> None:
        def ready() -> bool:
            argv = ["kubectl", "-n", HOME, "get", f"deployment/{self.release.name}", "-o", "jsonpath={.status}"]
            return '"readyReplicas":2' in self.cluster.exec(argv).stdout and self.release.leader() is not None

        until("both replicas are ready and one leads", ready, seconds=180)

    def _run(self, kind: str, leader: str, at: float, watched: list[int], *, resumed: float | None = None) -> Run:
        return Run(
            kind=kind,
            leader=leader,
            lease=self.release.name,
            namespace=self.stage.namespace,
            at=at,
            ended=time.time(),
            weights=tuple(watched),
            resumed=resumed,
        )
