"""Argo CD applies all of Git again and again while the operator promotes, reverts and rejects: with and without the
snippet of the how-to page, on a real API server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from e2e.cluster.prometheus import Prometheus
from tests.apiserver.gitops.argo import MANAGER, Api, Argo
from tests.apiserver.gitops.history import History
from tests.apiserver.gitops.repository import CANDIDATE, tree
from tests.apiserver.gitops.snippet import NOTHING_IGNORED, Application, Object, documented
from tests.apiserver.shell.cluster import NAMESPACE, Exporter, Operator, Stage, wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(420)]

OURS = "modelrollout-operator"
PACE = 1.0
"""Seconds between two syncs; steps last three."""


@dataclass
class Play:
    """One Application in the cluster, and what its route went through."""

    stage: Stage
    argo: Argo
    prometheus: str
    adopt: bool
    hold: str = "3s"
    history: History = field(default_factory=lambda: History(CANDIDATE))

    def git(self, image: str, hostnames: Sequence[str] = ("fraud.example.com",)) -> list[Object]:
        return tree(self.prometheus, image=image, adopt=self.adopt, hold=self.hold, hostnames=hostnames)

    def commit(self, image: str, hostnames: Sequence[str] = ("fraud.example.com",)) -> None:
        self.argo.tree = self.git(image, hostnames)

    @property
    def status(self) -> Object:
        found = self.stage.get("modelrollout", "fraud").get("status") or {}
        assert isinstance(found, dict)
        return found

    @property
    def percent(self) -> float:
        assert not self.history.ended, self.history.ended
        return self.history.versions[-1].percent if self.history.versions else -1.0

    def condition(self, kind: str) -> str:
        (found,) = [str(each["status"]) for each in self.status["conditions"] if each["type"] == kind]
        return found

    def until(self, phase: str) -> None:
        wait_until(lambda: self.status.get("phase") == phase, limit=120, why=f"{phase}; now {self.status}")

    def until_at(self, percent: float) -> None:
        wait_until(lambda: self.percent == percent, limit=90, pause=0.05, why=f"{percent} %; walk {self.history.walk}")

    def until_walked(self, walk: list[float]) -> None:
        wait_until(lambda: self.history.walk == walk, limit=60, why=f"{walk}")

    def let_sync(self, times: int) -> None:
        wanted = self.argo.syncs + times
        wait_until(lambda: self.argo.syncs >= wanted, limit=60, why=f"{times} more syncs; {self.argo.failures}")

    def resume(self) -> None:
        body = {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "RolloutAction",
            "metadata": {"name": "fraud-resume", "namespace": NAMESPACE},
            "spec": {"rollout": "fraud", "action": "Resume", "reason": "the snippet is in place"},
        }
        self.stage.apply(body)


def play(
    stage: Stage, api: Api, metrics: Prometheus, application: Application, *, adopt: bool, hold: str = "3s"
) -> Play:
    return Play(stage, Argo(api, [], application), metrics.url, adopt, hold)


@pytest.mark.parametrize("adopt", [False, True], ids=["managedRoute", "adoptRoute"])
def test_through_a_revert_a_promotion_and_a_reverted_commit_nobody_fights_and_nothing_jumps(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus, exporter: Exporter, adopt: bool
) -> None:
    it = play(stage, api, metrics, documented(), adopt=adopt)
    argo, history = it.argo, it.history
    with history.watched(api, NAMESPACE):
        it.commit("m:bad")
        argo.sync()
        with argo.every(PACE):
            it.until_at(5.0)
            exporter.traffic["v8"].turn(0.9)
            it.until("RolledBack")
            bad = it.status["revision"]
            assert it.status["rejectedRevisions"][0]["revision"] == bad
            exporter.traffic["v8"].turn(0.0)
            it.commit("m:bad", ["fraud.example.com", "also.example.com"])
            it.let_sync(4)
            assert (it.status["phase"], it.percent) == ("RolledBack", 0.0), "rejected, however often it is applied"
            assert it.condition("Stalled") == "True"

            it.commit("m:good")
            it.until("Promoted")
            assert it.status["revision"] != bad
            assert it.condition("Promoted") == "True"
            it.let_sync(4)
            assert it.percent == 100.0, "Git still says 0"
            assert argo.out_of_sync() == []

            it.commit("m:bad")
            wait_until(lambda: it.status["revision"] == bad, limit=60, why="the reverted commit is seen")
            it.let_sync(4)
            assert (it.status["phase"], it.percent) == ("RolledBack", 0.0), "rejected, also after a promotion"
            assert it.condition("Promoted") == "False"

            it.commit("m:next")
            it.until_at(50.0)
        assert argo.failures == []
    assert history.walk == [0.0, 5.0, 0.0, 5.0, 50.0, 100.0, 0.0, 5.0, 50.0], "each step once, and never back to Git"
    assert history.moves_by(OURS) == len(history.walk) - 1
    assert history.moves_by(MANAGER) == 0
    # Beside the moves only Git's two changes of the hostnames, and nothing at all of a route that is not in Git.
    assert history.changes() == len(history.walk) - 1 + (2 if adopt else 0)
    # After each move the manager of Git's copy joins in once; the rest are answers of the gateway, one for each change.
    assert len(history.versions) <= 1 + 3 * (history.changes() + 1)
    assert argo.syncs >= 16
    if not adopt:
        assert {owner for version in history.versions for owner in version.owners} == {OURS}


def test_without_the_snippet_each_sync_takes_the_weight_and_the_rollout_waits_for_a_person(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus
) -> None:
    it = play(stage, api, metrics, NOTHING_IGNORED, adopt=True, hold="20s")
    argo, history = it.argo, it.history
    with history.watched(api, NAMESPACE):
        it.commit("m:good")
        argo.sync()
        with argo.every(PACE):
            it.until("Paused")
            assert it.status["reason"] == "RouteConflict"
            assert "somebody changed the route from 5 % to 0 % again" in it.status["message"]
            assert it.condition("Stalled") == "True"
            # The gateway's own answer may still come: it is a version of the route, but no generation.
            asked = history.versions[-1].generation
            it.let_sync(5)
            assert history.versions[-1].generation == asked, "nobody changes it any more"
            assert argo.out_of_sync() == [], "the weight is Git's, so Argo CD has nothing to complain of"
            assert history.walk == [0.0, 5.0, 0.0, 5.0, 0.0]
            assert history.moves_by(OURS) == 2
            assert history.moves_by(MANAGER) == 2

            argo.application = documented()
            it.resume()
            it.until_at(50.0)
        assert argo.failures == []
    assert history.walk == [0.0, 5.0, 0.0, 5.0, 0.0, 5.0, 50.0]


def test_without_the_snippet_short_steps_advance_between_two_syncs(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus
) -> None:
    it = play(stage, api, metrics, NOTHING_IGNORED, adopt=True, hold="2s")
    with it.history.watched(api, NAMESPACE):
        it.commit("m:good")
        it.argo.sync()
        it.until("Promoted")
        promoted = [0.0, 5.0, 50.0, 100.0]
        assert it.history.walk == promoted
        it.argo.sync()
        it.until_walked([*promoted, 0.0, 100.0])
        it.argo.sync()
        it.until_walked([*promoted, 0.0, 100.0, 0.0])
        wait_until(lambda: it.status["reason"] == "RouteConflict", why="a person is asked")
        assert it.condition("Ready") == "False"
    assert it.history.walk == [0.0, 5.0, 50.0, 100.0, 0.0, 100.0, 0.0], "promoted, and taken back by the next syncs"


def test_a_sync_that_read_the_route_before_a_step_and_writes_after_it_costs_one_put_back(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus
) -> None:
    it = play(stage, api, metrics, documented(), adopt=True)
    with it.history.watched(api, NAMESPACE):
        it.commit("m:good")
        it.argo.sync()
        (route,) = [obj for obj in it.argo.tree if obj["kind"] == "HTTPRoute"]
        it.until_at(5.0)
        read = it.argo.live(route)
        it.until_at(50.0)
        it.argo.apply(route, read)
        it.until("Promoted")
    assert it.history.walk == [0.0, 5.0, 50.0, 5.0, 50.0, 100.0]
    assert it.history.moves_by(MANAGER) == 1


def test_with_the_snippet_a_change_of_the_rules_in_git_stays_out_of_the_cluster(
    stage: Stage, api: Api, metrics: Prometheus
) -> None:
    """What the page warns of: Argo CD takes the whole list of rules from the cluster."""
    it = play(stage, api, metrics, documented(), adopt=True)
    it.commit("m:good")
    it.argo.sync()
    (route,) = [obj for obj in it.argo.tree if obj["kind"] == "HTTPRoute"]
    route["spec"]["rules"][1]["matches"][0]["path"]["value"] = "/v2"
    route["spec"]["hostnames"] = ["new.example.com"]
    it.argo.sync()
    live = it.argo.live(route)
    assert live is not None
    assert live["spec"]["hostnames"] == ["new.example.com"]
    assert live["spec"]["rules"][1]["matches"][0]["path"]["value"] == "/"
    assert it.argo.out_of_sync() == ["HTTPRoute fraud"]
    # As the page says it is done: one sync with the differences ignored, but not respected.
    it.argo.application = replace(documented(), respected=False)
    it.argo.sync()
    live = it.argo.live(route)
    assert live is not None
    assert live["spec"]["rules"][1]["matches"][0]["path"]["value"] == "/v2"
    assert it.argo.out_of_sync() == []
