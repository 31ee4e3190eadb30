"""Rollouts and actions over a real API server."""

import pytest

from tests.contract.kube.rollouts_suite import RolloutsSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestRollouts(RolloutsSuite):
    pass
