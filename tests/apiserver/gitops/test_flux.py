"""Flux applies all of Git again and again, by its own code, while the operator promotes: docs/how-to/gitops.md."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from e2e.cluster.prometheus import Prometheus
from e2e.gitops.reconciler import MANAGER, Flux, FluxRefused
from tests.apiserver.beside import beside
from tests.apiserver.gitops.argo import Api, place
from tests.apiserver.gitops.history import History
from tests.apiserver.gitops.repository import CANDIDATE, tree
from tests.apiserver.gitops.snippet import PAGE, Object
from tests.apiserver.shell.cluster import NAMESPACE, Operator, Stage, wait_until
from tests.layout.documents import blocks

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(900)]

OURS = "modelrollout-operator"
PACE = 1.0
ROUTE = f"HTTPRoute/{NAMESPACE}/fraud"
ONCE = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}


def documented() -> list[dict[str, Any]]:
    """`spec.ignore` of the how-to page, for the second rule of the route: the first one of the test's is a redirect."""
    (spec,) = (
        found["spec"]
        for block in blocks(PAGE)
        if block.language == "yaml"
        for found in yaml.safe_load_all(block.text)
        if isinstance(found, dict) and "ignore" in found.get("spec", {})
    )
    rules: list[dict[str, Any]] = spec["ignore"]
    (routes,) = (rule for rule in rules if rule["target"]["kind"] == "HTTPRoute")
    return [{**routes, "paths": [path.replace("/rules/0/", "/rules/1/") for path in routes["paths"]]}]


class Play:
    """One Kustomization in the cluster, and what its route went through."""

    def __init__(self, stage: Stage, flux: Flux, git: list[Object]) -> None:
        self.stage, self.flux, self.git = stage, flux, git
        self.history = History(CANDIDATE)
        self.done: list[str] = []
        self.failures: list[str] = []
        self.reconciled = 0
        self._turn = threading.Lock()

    def reconcile(self) -> None:
        with self._turn:
            try:
                actions = self.flux.applies(self.git)
            except FluxRefused as error:
                self.failures.append(str(error))
                return
            self.reconciled += 1
            self.done.append(actions.get(ROUTE, ""))

    @contextmanager
    def every(self, seconds: float = PACE) -> Iterator[None]:
        def play(over: threading.Event) -> None:
            while not over.is_set():
                self.reconcile()
                over.wait(seconds)

        with beside(play):
            yield

    @property
    def status(self) -> Object:
        found = self.stage.get("modelrollout", "fraud").get("status") or {}
        assert isinstance(found, dict)
        return found

    def until(self, phase: str) -> None:
        wait_until(lambda: self.status.get("phase") == phase, limit=120, why=f"{phase}; now {self.status}")

    def until_at(self, percent: float) -> None:
        at = self.history.versions
        wait_until(lambda: bool(at) and at[-1].percent == percent, limit=90, pause=0.05, why=f"{self.history.walk}")

    def let(self, times: int) -> None:
        wanted = self.reconciled + times
        wait_until(lambda: self.reconciled >= wanted, limit=60, why=f"{times} more; {self.failures}")


def route_of(git: list[Object]) -> Object:
    (found,) = (obj for obj in git if obj["kind"] == "HTTPRoute")
    return found


@pytest.fixture
def flux(stage: Stage) -> Iterator[Flux]:
    with Flux(stage.server.kubeconfig) as running:
        yield running


def test_a_managed_route_is_no_affair_of_flux(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus, flux: Flux
) -> None:
    it = Play(stage, flux, tree(metrics.url, image="m:good", adopt=False))
    with it.history.watched(api, NAMESPACE):
        it.reconcile()
        with it.every():
            it.until("Promoted")
            it.let(3)
    assert it.failures == []
    assert it.history.walk == [0.0, 5.0, 50.0, 100.0]
    assert it.history.moves_by(OURS) == 3
    assert {owner for version in it.history.versions for owner in version.owners} == {OURS}


def test_without_the_rule_flux_takes_the_weight_and_with_it_leaves_it_alone_while_all_else_follows_git(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus, flux: Flux
) -> None:
    it = Play(stage, flux, tree(metrics.url, image="m:good", adopt=True, hold="10s"))
    with it.history.watched(api, NAMESPACE):
        it.reconcile()
        with it.every():
            it.until("Paused")
            assert it.status["reason"] == "RouteConflict"
            assert it.history.walk == [0.0, 5.0, 0.0, 5.0, 0.0]
            assert it.history.moves_by(MANAGER) == 2

            flux.ignore = documented()
            stage.act("Resume")
            it.until_at(5.0)
            before = len(it.done)
            it.let(2)
            assert set(it.done[before:]) == {"unchanged"}
            # A new match and a new host name in Git arrive, with the weights that the cluster has.
            git = copy.deepcopy(it.git)
            route = route_of(git)
            route["spec"]["hostnames"] = ["new.example.com"]
            route["spec"]["rules"][1]["matches"][0]["path"]["value"] = "/v2"
            it.git = git
            it.let(2)
            live = api.ask("GET", place(route))
            assert live["spec"]["hostnames"] == ["new.example.com"]
            assert live["spec"]["rules"][1]["matches"][0]["path"]["value"] == "/v2"
            it.until("Promoted")
            it.let(3)
            assert it.done[-1] == "unchanged"
    assert it.failures == []
    assert it.history.walk == [0.0, 5.0, 0.0, 5.0, 0.0, 5.0, 50.0, 100.0], "after the rule each step once"
    assert it.history.moves_by(MANAGER) == 2


def test_a_route_that_is_applied_once_keeps_its_weights_and_follows_git_in_nothing(
    stage: Stage, operator: Operator, api: Api, metrics: Prometheus, flux: Flux
) -> None:
    git = tree(metrics.url, image="m:good", adopt=True)
    route = route_of(git)
    route["metadata"]["annotations"] = dict(ONCE)
    it = Play(stage, flux, git)
    with it.history.watched(api, NAMESPACE):
        it.reconcile()
        with it.every():
            it.until_at(5.0)
            route["spec"]["hostnames"] = ["new.example.com"]
            it.until("Promoted")
            it.let(2)
    assert it.failures == []
    assert it.history.walk == [0.0, 5.0, 50.0, 100.0]
    assert set(it.done[1:]) == {"skipped"}
    assert api.ask("GET", place(route))["spec"]["hostnames"] == ["fraud.example.com"]
