"""Routing over the fake API server."""

from tests.contract.kube.adopted_suite import AdoptedRoutingSuite
from tests.contract.kube.managed_suite import ManagedRoutingSuite


class TestManaged(ManagedRoutingSuite):
    pass


class TestAdopted(AdoptedRoutingSuite):
    pass
