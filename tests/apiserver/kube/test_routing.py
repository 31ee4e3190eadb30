"""Routing over a real API server with the routers' own CRDs."""

import pytest

from tests.contract.kube.adopted_suite import AdoptedRoutingSuite
from tests.contract.kube.ingress_suite import IngressRoutingSuite
from tests.contract.kube.istio_suite import IstioRoutingSuite
from tests.contract.kube.managed_suite import ManagedRoutingSuite
from tests.contract.kube.replicas_suite import ReplicasRoutingSuite
from tests.contract.kube.sticky_suite import StickyRoutingSuite
from tests.contract.kube.traefik_suite import TraefikRoutingSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestManaged(ManagedRoutingSuite):
    pass


class TestSticky(StickyRoutingSuite):
    pass


class TestAdopted(AdoptedRoutingSuite):
    pass


class TestIngressNginx(IngressRoutingSuite):
    pass


class TestIstio(IstioRoutingSuite):
    pass


class TestReplicas(ReplicasRoutingSuite):
    pass


class TestTraefik(TraefikRoutingSuite):
    pass
