"""Routing over a real API server with the Gateway API's own CRDs."""

import pytest

from tests.contract.kube.adopted_suite import AdoptedRoutingSuite
from tests.contract.kube.ingress_suite import IngressRoutingSuite
from tests.contract.kube.managed_suite import ManagedRoutingSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestManaged(ManagedRoutingSuite):
    pass


class TestAdopted(AdoptedRoutingSuite):
    pass


class TestIngressNginx(IngressRoutingSuite):
    pass
