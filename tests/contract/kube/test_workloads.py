"""Workloads over the fake API server."""

from tests.contract.kube.workloads_suite import WorkloadsSuite


class TestWorkloads(WorkloadsSuite):
    pass
