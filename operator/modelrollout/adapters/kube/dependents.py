"""Which rollouts an object matters to, both ways: kept up to date with every object stored or dropped."""

from __future__ import annotations

from modelrollout.adapters.kube.ingress import IngressView
from modelrollout.adapters.kube.ingress_index import IngressIndex
from modelrollout.adapters.kube.projection import ScalerView, SliceView
from modelrollout.adapters.kube.rollout_view import ActionView
from modelrollout.adapters.kube.router_objects import router_objects
from modelrollout.core.model import Key, RolloutSpec
from modelrollout.ports import RolloutObject
from modelrollout.runtime.profiles import foreign

Place = tuple[str, str]
Reference = tuple[str, str, str]


class Dependents:
    """References of rollouts, EndpointSlices of Services and actions of rollouts."""

    def __init__(self) -> None:
        self._users: dict[Reference, tuple[Key, ...]] = {}
        self._uses: dict[Key, tuple[Reference, ...]] = {}
        # EndpointSlice -> Service and RolloutAction -> rollout by place; the reverse by kind and place of the parent.
        self._parent: dict[Reference, Place] = {}
        self._children: dict[Reference, tuple[str, ...]] = {}
        self.ingresses = IngressIndex()

    def store(self, kind: str, place: Place, view: object) -> None:
        """Take note of a stored object."""
        match view:
            case RolloutObject():
                self._use(view.key, references(view.spec) if view.spec is not None else ())
            case SliceView():
                self._belong(kind, place, view.service)
            case ActionView():
                self._belong(kind, place, view.rollout)
            case ScalerView():
                self._belong(kind, place, view.target)
            case IngressView():
                self.ingresses.store(place, view)
            case _:
                pass

    def drop(self, kind: str, place: Place) -> None:
        """Forget an object."""
        if kind == "ModelRollout":
            self._use(Key(*place), ())
        if kind == "Ingress":
            self.ingresses.drop(place)
        self._belong(kind, place, "")

    def of(self, kind: str, place: Place) -> tuple[Key, ...]:
        """The rollouts that an object matters to."""
        if kind == "ModelRollout":
            return (Key(*place),)
        if kind in ("EndpointSlice", "RolloutAction", "HorizontalPodAutoscaler"):
            parent = self._parent.get((kind, *place))
            if parent is None:
                return ()
            if kind == "HorizontalPodAutoscaler":
                return self._users.get(("Deployment", *parent), ())
            return (Key(*parent),) if kind == "RolloutAction" else self._users.get(("Service", *parent), ())
        return self._users.get((kind, *place), ())

    def slices(self, namespace: str, service: str) -> tuple[str, ...]:
        """Names of the EndpointSlices of a Service."""
        return self._children.get(("EndpointSlice", namespace, service), ())

    def scalers(self, namespace: str, deployment: str) -> tuple[str, ...]:
        """Names of the HorizontalPodAutoscalers of a Deployment."""
        return self._children.get(("HorizontalPodAutoscaler", namespace, deployment), ())

    def actions(self, key: Key) -> tuple[str, ...]:
        """Names of the RolloutActions for a rollout."""
        return self._children.get(("RolloutAction", key.namespace, key.name), ())

    def _use(self, key: Key, wanted: tuple[Reference, ...]) -> None:
        if self._uses.get(key, ()) == wanted:
            return  # most events are status writes of our own
        for reference in self._uses.pop(key, ()):
            left = tuple(user for user in self._users[reference] if user != key)
            if left:
                self._users[reference] = left
            else:
                del self._users[reference]
        if wanted:
            self._uses[key] = wanted
        for reference in wanted:
            self._users[reference] = (*self._users.get(reference, ()), key)

    def _belong(self, kind: str, place: Place, parent: str) -> None:
        namespace, name = place
        old = self._parent.pop((kind, namespace, name), None)
        if old is not None:
            siblings = tuple(child for child in self._children[kind, *old] if child != name)
            if siblings:
                self._children[kind, *old] = siblings
            else:
                del self._children[kind, *old]
        if parent:
            self._parent[kind, namespace, name] = (namespace, parent)
            self._children[kind, namespace, parent] = (*self._children.get((kind, namespace, parent), ()), name)


def references(spec: RolloutSpec) -> tuple[Reference, ...]:
    """Every object that a rollout names: kind, namespace (empty: cluster-scoped), name."""
    namespace = spec.key.namespace
    arms = (spec.legacy, spec.candidate)
    return tuple(
        dict.fromkeys(
            (
                *(("Deployment", namespace, arm.deployment) for arm in arms),
                *(("Service", namespace, arm.service) for arm in arms),
                *((resource.kind, namespace, name) for resource, name in router_objects(spec)),
                ("MetricSource", "", spec.analysis.metric_source),
                *(("SliProfile", "", name) for name in foreign(spec)),
            )
        )
    )
