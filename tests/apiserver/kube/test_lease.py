"""The Lease over a real API server."""

import pytest

from tests.contract.kube.lease_suite import LeaseSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestLease(LeaseSuite):
    pass
