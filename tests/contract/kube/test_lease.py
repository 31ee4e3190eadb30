"""The Lease over the fake API server."""

from tests.contract.kube.lease_suite import LeaseSuite


class TestLease(LeaseSuite):
    pass
