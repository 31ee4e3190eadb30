"""Rollouts and actions over the fake API server."""

from tests.contract.kube.rollouts_suite import RolloutsSuite


class TestRollouts(RolloutsSuite):
    pass
