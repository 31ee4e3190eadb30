"""Two rollouts that adopt the same route: the elder steers, the younger is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import (
    AdoptRoute,
    Arm,
    HeaderMatch,
    IngressNginx,
    Istio,
    Key,
    Phase,
    Replicas,
    RolloutSpec,
    Segment,
    Subsets,
    Traefik,
)
from modelrollout.core.observation import RouteUnusable, Workload
from modelrollout.runtime.claims import Claims, contested
from tests.engine.api import FIRST
from tests.engine.world import build, spec_named


def adopting(name: str, route: str = "shop", rule: str | None = None, *, arms: str = "m") -> RolloutSpec:
    base, other = spec_named(name), spec_named(arms)
    traffic = replace(base.traffic, router=AdoptRoute(route, rule))
    return replace(base, traffic=traffic, legacy=other.legacy, candidate=other.candidate)


def nginx(name: str, ingress: str = "shop", *, arms: str = "m") -> RolloutSpec:
    """nginx keeps a canary with the Service, so that the Ingress makes no difference."""
    base = adopting(name, arms=arms)
    return replace(base, traffic=replace(base.traffic, router=IngressNginx(ingress)))


def istio(name: str, route: str | None = None, *, subset: str = "", arms: str = "m") -> RolloutSpec:
    base = adopting(name, arms=arms)
    subsets = Subsets("v0", subset) if subset else None
    return replace(base, traffic=replace(base.traffic, router=Istio("shop", route, subsets)))


def segmented(name: str, route: str) -> RolloutSpec:
    base = istio(name, route)
    beta = (Segment((HeaderMatch("x-tier", "beta"),)),)
    return replace(base, traffic=replace(base.traffic, segments=beta))


def traefik(name: str, service: str = "shop", *, arms: str = "m") -> RolloutSpec:
    base = adopting(name, arms=arms)
    return replace(base, traffic=replace(base.traffic, router=Traefik(service)))


def test_the_younger_of_two_in_one_traefik_service_is_told() -> None:
    told = contested(traefik("b"), Key("serving", "a"))
    assert "spec.traffic.traefik: ModelRollout 'a' steers these services of the TraefikService already" in told


def test_the_younger_of_two_in_one_virtual_service_is_told() -> None:
    told = contested(istio("b"), Key("serving", "a"))
    assert "spec.traffic.istio: ModelRollout 'a' steers these destinations of the VirtualService already" in told


def by_pods(name: str, service: str = "shop", *, arms: str = "m") -> RolloutSpec:
    base = adopting(name, arms=arms)
    legacy, candidate = (Arm(arm.deployment, service) for arm in (base.legacy, base.candidate))
    traffic = replace(base.traffic, router=Replicas(service, 10))
    return replace(base, traffic=traffic, legacy=legacy, candidate=candidate)


def test_the_younger_of_two_that_scale_the_same_pods_is_told_what_to_change() -> None:
    told = contested(by_pods("b"), Key("serving", "a"))
    assert "spec.traffic.replicas: ModelRollout 'a' scales these pods already: give this rollout a Service and" in told


def test_the_younger_of_two_with_a_canary_is_told_what_nginx_takes() -> None:
    told = contested(nginx("b"), Key("serving", "a"))
    assert "spec.traffic.ingressNginx: ModelRollout 'a' has a canary for one of these Services already" in told


def claims(*specs: RolloutSpec) -> Claims:
    made = Claims()
    for created, spec in enumerate(specs):
        made.take(spec, float(created))
    return made


def test_the_elder_has_no_rival_and_the_younger_has_one() -> None:
    made = claims(adopting("b"), adopting("a"))
    assert made.elder(Key("serving", "b")) is None
    assert made.elder(Key("serving", "a")) == Key("serving", "b")
    made.drop(Key("serving", "b"))
    assert made.elder(Key("serving", "a")) is None


def test_of_two_made_in_the_same_second_the_name_decides() -> None:
    made = Claims()
    for name in ("b", "a"):
        made.take(adopting(name), 1.0)
    assert made.elder(Key("serving", "b")) == Key("serving", "a")
    assert made.elder(Key("serving", "a")) is None


@pytest.mark.parametrize(
    ("first", "second", "rivals"),
    [
        (adopting("a"), adopting("b", "other"), False),
        (adopting("a", rule="x"), adopting("b", rule="y"), False),
        (adopting("a", rule="x"), adopting("b"), True),
        (adopting("a", rule="x"), adopting("b", rule="x"), True),
        (adopting("a"), adopting("b", arms="n"), False),
        (adopting("a"), spec_named("b"), False),
        (nginx("a"), nginx("b", "other"), True),
        (nginx("a"), nginx("b", arms="n"), False),
        (nginx("a"), adopting("b"), False),
        (istio("a"), istio("b"), True),
        (istio("a"), adopting("b"), False),
        (traefik("a"), traefik("b"), True),
        (traefik("a"), traefik("b", "other"), False),
        (traefik("a"), traefik("b", arms="n"), False),
        (traefik("a"), istio("b"), False),
        (istio("a", "x"), istio("b", "y"), False),
        (istio("a", "x"), istio("b"), True),
        (segmented("a", "x"), segmented("b", "y"), True),
        (istio("a"), istio("b", arms="n"), False),
        (istio("a", subset="v1"), istio("b", subset="v2", arms="n"), True),
        (istio("a", subset="v1"), istio("b"), False),
        (by_pods("a"), by_pods("b"), True),
        (by_pods("a"), by_pods("b", "other"), True),
        (by_pods("a"), by_pods("b", arms="n"), True),
        (by_pods("a"), by_pods("b", "other", arms="n"), False),
    ],
)
def test_what_counts_as_the_same_backends(first: RolloutSpec, second: RolloutSpec, rivals: bool) -> None:
    assert (claims(first, second).elder(second.key) == first.key) is rivals


def test_an_edit_moves_the_claim() -> None:
    made = claims(adopting("a"), adopting("b"))
    made.take(adopting("b", "other"), 1.0)
    assert made.elder(Key("serving", "b")) is None


@pytest.mark.looptime
async def test_bug_two_rollouts_moved_the_weights_of_one_route() -> None:
    world = build()
    elder, younger = adopting("a"), adopting("b")
    for created, spec in ((1.0, elder), (2.0, younger)):
        world.metrics.serve(spec)
        world.api.edit(world.api.create(spec), created=created)
    await world.start()

    def phase(spec: RolloutSpec) -> Phase | None:
        status = world.api.objects[spec.key].status
        return status.phase if status else None

    await world.until(lambda: phase(younger) is Phase.INVALID, limit=30)
    assert "ModelRollout 'a' steers these backends" in world.api.status(younger.key).message
    assert younger.key not in world.api.routes
    assert phase(elder) is not Phase.INVALID
    await world.stop()


@pytest.mark.looptime
async def test_bug_a_rollout_that_left_its_own_route_for_shared_pods_in_mid_look_was_frozen() -> None:
    """Its claim was that of the new spec already, and a route of its own has no rival."""
    world = build()
    elder, younger = by_pods("a"), spec_named("b", legacy=by_pods("b").legacy, candidate=by_pods("b").candidate)
    for spec in (elder, younger):
        world.api.create(spec)
    await world.start()
    await world.until(lambda: world.api.objects[younger.key].status is not None)

    async def overtaken(spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        if spec.key == younger.key:
            world.store.claims.take(by_pods("b"), 1e12)
        return await observe(spec, fresh=fresh)

    workloads = world.gather._workloads
    observe = workloads.observe
    workloads.observe = overtaken  # type: ignore[method-assign]  # in mid-look
    gathered = await world.gather(younger.key, FIRST)
    assert world.store.claims.elder(younger.key) == elder.key
    assert not isinstance(gathered.observation.route, RouteUnusable)
    await world.stop()
