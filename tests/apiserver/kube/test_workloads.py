"""Workloads over a real API server."""

import pytest

from tests.contract.kube.workloads_suite import WorkloadsSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestWorkloads(WorkloadsSuite):
    pass
